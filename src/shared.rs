//! State that requests share.

/// A value behind a lock that is held for short closures only, never across an await.
///
/// In wasm there is one thread and the lock is always free; on a server, threads hold it for some hundred nanoseconds.
pub(crate) struct Shared<T>(spin::Mutex<T>);

impl<T> Shared<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(spin::Mutex::new(value))
    }

    /// Calls `call` with the value. `call` must not use this lock again: it would deadlock.
    pub(crate) fn with<R>(&self, call: impl FnOnce(&mut T) -> R) -> R {
        call(&mut self.lock())
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn lock(&self) -> spin::MutexGuard<'_, T> {
        self.0.lock()
    }

    /// With a single thread, a lock that is taken belongs to a call that trapped: the instance's state is not to be relied on.
    #[cfg(target_arch = "wasm32")]
    fn lock(&self) -> spin::MutexGuard<'_, T> {
        self.0.try_lock().unwrap_or_else(|| core::arch::wasm32::unreachable())
    }
}

impl<T: Default> Default for Shared<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: core::fmt::Debug> core::fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.with(|value| value.fmt(f))
    }
}
