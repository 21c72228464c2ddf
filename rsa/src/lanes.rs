//! Two lanes of 64 bits, read as integers or as doubles: the few operations the fused
//! multiply-add kernel is written in, on relaxed SIMD or, for tests on the host, emulated.

#[cfg(target_feature = "relaxed-simd")]
pub(super) use simd::Lanes;

#[cfg(not(target_feature = "relaxed-simd"))]
pub(super) use emulated::Lanes;

#[cfg(target_feature = "relaxed-simd")]
mod simd {
    use core::arch::wasm32::{
        f64x2_relaxed_madd, f64x2_splat, f64x2_sub, i64x2_add, i64x2_shuffle, i64x2_sub, u64x2, u64x2_extract_lane,
        u64x2_shr, u64x2_splat, v128, v128_and,
    };

    /// Two lanes.
    #[derive(Clone, Copy)]
    pub(in super::super) struct Lanes(v128);

    impl Lanes {
        pub(in super::super) const fn integers(low: u64, high: u64) -> Self {
            Self(u64x2(low, high))
        }
        #[inline(always)]
        pub(in super::super) fn integer(x: u64) -> Self {
            Self(u64x2_splat(x))
        }
        #[inline(always)]
        pub(in super::super) fn double(x: f64) -> Self {
            Self(f64x2_splat(x))
        }
        /// a·b + c in doubles, rounded once if the host fuses.
        #[inline(always)]
        pub(in super::super) fn multiply_add(a: Self, b: Self, c: Self) -> Self {
            Self(f64x2_relaxed_madd(a.0, b.0, c.0))
        }
        /// a - b in doubles.
        #[inline(always)]
        pub(in super::super) fn minus(self, b: Self) -> Self {
            Self(f64x2_sub(self.0, b.0))
        }
        /// a + b in integers.
        #[inline(always)]
        pub(in super::super) fn add(self, b: Self) -> Self {
            Self(i64x2_add(self.0, b.0))
        }
        /// a - b in integers.
        #[inline(always)]
        pub(in super::super) fn subtract(self, b: Self) -> Self {
            Self(i64x2_sub(self.0, b.0))
        }
        #[inline(always)]
        pub(in super::super) fn and(self, b: Self) -> Self {
            Self(v128_and(self.0, b.0))
        }
        #[inline(always)]
        pub(in super::super) fn shift_right(self, by: u32) -> Self {
            Self(u64x2_shr(self.0, by))
        }
        /// (low, low).
        #[inline(always)]
        pub(in super::super) fn lows(self) -> Self {
            Self(i64x2_shuffle::<0, 0>(self.0, self.0))
        }
        /// (high, high).
        #[inline(always)]
        pub(in super::super) fn highs(self) -> Self {
            Self(i64x2_shuffle::<1, 1>(self.0, self.0))
        }
        /// (high of self, low of next): the lanes between two neighbours.
        #[inline(always)]
        pub(in super::super) fn between(self, next: Self) -> Self {
            Self(i64x2_shuffle::<1, 2>(self.0, next.0))
        }
        #[inline(always)]
        pub(in super::super) fn to_array(self) -> [u64; 2] {
            [u64x2_extract_lane::<0>(self.0), u64x2_extract_lane::<1>(self.0)]
        }
    }
}

#[cfg(not(target_feature = "relaxed-simd"))]
mod emulated {
    /// Two lanes.
    #[derive(Clone, Copy)]
    pub(in super::super) struct Lanes([u64; 2]);

    impl Lanes {
        fn zip(self, b: Self, f: impl Fn(u64, u64) -> u64) -> Self {
            let ([a0, a1], [b0, b1]) = (self.0, b.0);
            Self([f(a0, b0), f(a1, b1)])
        }
        pub(in super::super) const fn integers(low: u64, high: u64) -> Self {
            Self([low, high])
        }
        pub(in super::super) fn integer(x: u64) -> Self {
            Self([x, x])
        }
        pub(in super::super) fn double(x: f64) -> Self {
            Self([x.to_bits(); 2])
        }
        pub(in super::super) fn multiply_add(a: Self, b: Self, c: Self) -> Self {
            let ([a0, a1], [b0, b1], [c0, c1]) = (a.0, b.0, c.0);
            let f = |a, b, c| f64::from_bits(a).mul_add(f64::from_bits(b), f64::from_bits(c)).to_bits();
            Self([f(a0, b0, c0), f(a1, b1, c1)])
        }
        pub(in super::super) fn minus(self, b: Self) -> Self {
            self.zip(b, |a, b| (f64::from_bits(a) - f64::from_bits(b)).to_bits())
        }
        pub(in super::super) fn add(self, b: Self) -> Self {
            self.zip(b, u64::wrapping_add)
        }
        pub(in super::super) fn subtract(self, b: Self) -> Self {
            self.zip(b, u64::wrapping_sub)
        }
        pub(in super::super) fn and(self, b: Self) -> Self {
            self.zip(b, |a, b| a & b)
        }
        pub(in super::super) fn shift_right(self, by: u32) -> Self {
            Self(self.0.map(|a| a >> by))
        }
        pub(in super::super) fn lows(self) -> Self {
            let [low, _] = self.0;
            Self([low, low])
        }
        pub(in super::super) fn highs(self) -> Self {
            let [_, high] = self.0;
            Self([high, high])
        }
        pub(in super::super) fn between(self, next: Self) -> Self {
            let ([_, high], [low, _]) = (self.0, next.0);
            Self([high, low])
        }
        pub(in super::super) fn to_array(self) -> [u64; 2] {
            self.0
        }
    }
}
