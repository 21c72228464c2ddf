//! Proves that threads of a server can share a verifier: its futures can move between threads if the host's can, and many threads get
//! correct verdicts while keys rotate.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "test code: a panic is a failure"
)]

use std::collections::BTreeMap;
use std::fmt::Display;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use edgeward::host::{Host, Level, Spawn};
use edgeward::io::{EdgeEntry, Incoming, Outgoing, UnixTime, Unreachable};
use edgeward::jwk::{KeyCache, KeyJob, KeySource};
use edgeward::{VerificationError, Verifier};
use support::world::{JWKS_URI, json};
use support::{ISSUER, Mint, NOW, Rng, TestKey, access_policy, id_policy, key_a, key_b, key_c, key_e3, set_text};

/// Wakes a thread that waits in [`block_on`].
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Drives a future on this thread.
fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            // A spurious wake costs one poll more.
            Poll::Pending => thread::park_timeout(Duration::from_secs(10)),
        }
    }
}

/// A server: its clock, its provider and its edge cache behind locks, and threads for jobs.
#[derive(Clone)]
struct Server(Arc<Inner>);

struct Inner {
    now_ms: AtomicI64,
    /// What the provider publishes.
    keys: Mutex<String>,
    edge: Mutex<BTreeMap<String, Vec<u8>>>,
    sent: AtomicUsize,
    lines: Mutex<Vec<String>>,
    jobs: Mutex<SyncSender<(KeyJob, Arc<Ended>)>>,
}

/// Whether a job has ended, and the wakers waiting for that.
#[derive(Default)]
struct Ended(Mutex<(bool, Option<Waker>)>);

impl Server {
    /// A server and the queue of its jobs.
    fn new() -> (Self, Receiver<(KeyJob, Arc<Ended>)>) {
        let (jobs, queue) = sync_channel(1000);
        let inner = Inner {
            now_ms: AtomicI64::new(NOW * 1000),
            keys: Mutex::default(),
            edge: Mutex::default(),
            sent: AtomicUsize::new(0),
            lines: Mutex::default(),
            jobs: Mutex::new(jobs),
        };
        (Self(Arc::new(inner)), queue)
    }

    fn publish(&self, keys: &[&TestKey]) {
        *self.0.keys.lock().unwrap() = set_text(keys.iter().map(|key| key.jwk()));
    }

    /// Runs one job to its end.
    fn work(&self, (job, ended): (KeyJob, Arc<Ended>)) {
        block_on(assert_send(job.run(self)));
        let waiting = {
            let mut state = ended.0.lock().unwrap();
            state.0 = true;
            state.1.take()
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl Host for Server {
    fn now(&self) -> UnixTime {
        UnixTime::from_millis(self.0.now_ms.load(Ordering::SeqCst))
    }

    async fn send(&self, request: Outgoing) -> Result<Incoming, Unreachable> {
        assert_eq!(request.url, JWKS_URI);
        let body = self.0.keys.lock().unwrap().clone();
        self.0.sent.fetch_add(1, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(1));
        Ok(json(&body))
    }

    async fn sleep(&self, millis: u32) {
        // The clock that verdicts depend on is moved by the test alone.
        thread::sleep(Duration::from_millis(millis.into()));
    }

    async fn edge_get(&self, key: String) -> Option<Vec<u8>> {
        self.0.edge.lock().unwrap().get(&key).cloned()
    }

    async fn edge_put(&self, entry: EdgeEntry) {
        self.0.edge.lock().unwrap().insert(entry.key, entry.value.into());
    }

    fn log(&self, _: Level, line: &dyn Display) {
        self.0.lines.lock().unwrap().push(line.to_string());
    }
}

impl Spawn<KeyJob> for Server {
    fn spawn(&self, job: KeyJob) -> impl Future<Output = ()> {
        let ended = Arc::new(Ended::default());
        self.0.jobs.lock().unwrap().send((job, Arc::clone(&ended))).unwrap();
        std::future::poll_fn(move |context| {
            let mut state = ended.0.lock().unwrap();
            if state.0 {
                return Poll::Ready(());
            }
            state.1 = Some(context.waker().clone());
            Poll::Pending
        })
    }
}

/// Compiles for what may move to another thread only.
fn assert_send<T: Send>(value: T) -> T {
    value
}

fn verifier() -> Verifier {
    Verifier::new(access_policy(), KeyCache::new(ISSUER, KeySource::Uri(JWKS_URI.into())))
}

#[test]
fn the_futures_of_a_verifier_move_between_threads_where_the_hosts_do() {
    fn assert_shareable<T: Send + Sync>(_: &T) {}

    let (server, _queue) = Server::new();
    let verifier = verifier();
    assert_shareable(&verifier);
    assert_shareable(&access_policy());
    let keys = Arc::clone(verifier.keys().next().unwrap());
    assert_shareable(&keys);
    drop(assert_send(verifier.verify("a.b.c", &server)));
    drop(assert_send(verifier.load(&server)));
    drop(assert_send(keys.verify(&id_policy(), "a.b.c", &server)));
    let token = access_policy().verify(&Mint::access(key_a()).text(), &key_a().set(), server.now()).unwrap();
    assert_shareable(&token);
    // One that has begun, too.
    let refused = thread::spawn(move || block_on(async move { verifier.verify("a.b", &server).await.map(drop) }));
    assert!(matches!(refused.join().unwrap(), Err(VerificationError::Refused(_))));
}

#[test]
fn threads_that_share_a_verifier_get_right_verdicts_while_keys_rotate() {
    const THREADS: u64 = 8;
    const VERIFICATIONS: usize = 10_000;
    /// So many verifications later the keys and the time are others. All in all less than a day goes by, so that even a thread
    /// that was stopped all the while has keys.
    const STEP: usize = 500;

    let mint = |key: &'static TestKey, user: usize| {
        Mint::access(key).claim("exp", NOW + 100 * 24 * 3600).claim("sub", format!("user-{user}")).text()
    };
    // Key e3 is always published, of the others one or two.
    let steady: Vec<String> = (0..20).map(|user| mint(key_e3(), user)).collect();
    let rotating: Vec<String> = [key_a(), key_b(), key_c()].iter().map(|key| mint(key, 100)).collect();
    let forged: Vec<String> = steady.iter().map(|text| format!("{}AAAA", &text[..text.len() - 4])).collect();
    let foreign = Mint::access(key_e3()).claim("aud", "https://other.example.com").text();

    let (server, queue) = Server::new();
    server.publish(&[key_e3(), key_a()]);
    let verifier = verifier();
    let is_over = AtomicBool::new(false);
    let (verified, gone) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let start = Instant::now();
    let queue = Mutex::new(queue);
    thread::scope(|scope| {
        // Two threads for jobs.
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::SeqCst) {
                    let next = queue.lock().unwrap().recv_timeout(Duration::from_millis(5));
                    next.into_iter().for_each(|job| server.work(job));
                }
            });
        }
        scope.spawn(|| {
            let sets = [[key_e3(), key_b()], [key_c(), key_e3()], [key_e3(), key_a()]];
            for (step, keys) in sets.iter().cycle().enumerate() {
                while verified.load(Ordering::SeqCst) < step * STEP {
                    if is_over.load(Ordering::SeqCst) {
                        return;
                    }
                    thread::sleep(Duration::from_micros(200));
                }
                server.publish(keys);
                // Past the pause for unknown keys; every few times, past the freshness.
                server.0.now_ms.fetch_add(97_000, Ordering::SeqCst);
            }
        });
        let workers: Vec<_> = (0..THREADS)
            .map(|seed| {
                let (server, verifier) = (&server, &verifier);
                let (steady, rotating, forged, foreign) = (&steady, &rotating, &forged, &foreign);
                let (verified, gone) = (&verified, &gone);
                scope.spawn(move || {
                    let mut rng = Rng(seed);
                    let verify = |text: &str| match subject_of(verifier, server, text) {
                        Ok(subject) => Ok(subject),
                        Err(VerificationError::Refused(error)) => Err(error.code()),
                        Err(VerificationError::Unavailable(why)) => panic!("{why}"),
                    };
                    for _ in 0..VERIFICATIONS {
                        let user = rng.below(steady.len());
                        match rng.below(8) {
                            0 => assert_eq!(verify(&forged[user]), Err("signature_invalid")),
                            1 => assert_eq!(verify(foreign), Err("audience_mismatch")),
                            2 => match verify(&rotating[rng.below(rotating.len())]) {
                                Ok(subject) => assert_eq!(subject, "user-100"),
                                Err(code) => {
                                    assert_eq!(code, "key_not_found");
                                    gone.fetch_add(1, Ordering::SeqCst);
                                }
                            },
                            _ => assert_eq!(verify(&steady[user]), Ok(format!("user-{user}"))),
                        }
                        verified.fetch_add(1, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        let results: Vec<_> = workers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        is_over.store(true, Ordering::SeqCst);
        results.into_iter().for_each(|result| result.unwrap());
    });
    let sent = server.0.sent.load(Ordering::SeqCst);
    let (verified, gone) = (verified.into_inner(), gone.into_inner());
    println!("threads: {verified} verified, {gone} of keys that were gone, {sent} fetches, {:?}", start.elapsed());
    assert!(sent > 5 && gone > 10, "keys rotated: {sent} fetches, {gone} refusals");
    assert_eq!(*server.0.lines.lock().unwrap(), Vec::<String>::new());
}

/// The subject of a token, verified on this thread.
fn subject_of(verifier: &Verifier, server: &Server, text: &str) -> Result<String, VerificationError> {
    block_on(verifier.verify(text, server)).map(|token| token.claims().subject().unwrap_or_default().to_owned())
}
