//! Numbers of the detector. Everything here gives equal bits on every machine: no function of the system's library.

/// `2^x`.
pub(crate) fn exp2(x: f64) -> f64 {
    libm::exp2(x)
}

/// `e^x`.
pub(crate) fn exp(x: f64) -> f64 {
    libm::exp(x)
}

/// Natural logarithm.
pub(crate) fn ln(x: f64) -> f64 {
    libm::log(x)
}

/// `base^n` for whole `n`, by squaring.
pub(crate) fn power(base: f64, n: u32) -> f64 {
    let (mut result, mut square, mut n) = (1.0, base, n);
    while n > 0 {
        if n & 1 == 1 {
            result *= square;
        }
        square *= square;
        n >>= 1;
    }
    result
}

/// Share of a Beta(a, b) distribution below `x` (regularised incomplete beta function, continued fraction of Lentz).
pub(crate) fn beta_below(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    let front =
        libm::exp(libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b) + a * ln(x) + b * libm::log1p(-x));
    if x < (a + 1.0) / (a + b + 2.0) {
        front * fraction(x, a, b) / a
    } else {
        1.0 - front * fraction(1.0 - x, b, a) / b
    }
}

fn fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let away = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / away(1.0 - (a + b) * x / (a + 1.0));
    let mut result = d;
    for step in 1..400 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / away(1.0 + even * d);
        c = away(1.0 + even / c);
        result *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / away(1.0 + odd * d);
        c = away(1.0 + odd / c);
        let factor = d * c;
        result *= factor;
        if (factor - 1.0).abs() < 1e-13 {
            break;
        }
    }
    result
}

/// The value below which `share` of a Beta(a, b) distribution lies.
pub(crate) fn beta_quantile(share: f64, a: f64, b: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if beta_below(middle, a, b) < share {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// Clean runs after which a rate of `q` is rejected at 95 %.
pub(crate) fn runs_to_reject(q: f64) -> f64 {
    libm::ceil(ln(0.05) / libm::log1p(-q.clamp(1e-9, 1.0 - 1e-9)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beta_of_known_shapes() {
        // Beta(1, n) is 1 - (1 - x)^n.
        assert!((beta_below(0.1, 1.0, 10.0) - (1.0 - 0.9f64.powi(10))).abs() < 1e-12);
        assert!((beta_below(0.5, 3.0, 3.0) - 0.5).abs() < 1e-12);
        assert!((beta_quantile(0.8, 1.0, 9.0) - (1.0 - 0.2f64.powf(1.0 / 9.0))).abs() < 1e-9);
        assert_eq!(power(3.0, 5), 243.0);
    }

    #[test]
    fn runs_that_reject() {
        for (q, n) in [(0.005, 598.0), (0.01, 299.0), (0.05, 59.0), (0.1, 29.0), (0.5, 5.0)] {
            assert_eq!(runs_to_reject(q), n);
        }
    }
}
