//! A histogram as Prometheus writes it.

/// Most buckets of one histogram; the catalogue's widest has 23.
const MAX_BUCKETS: usize = 128;

/// A histogram as Prometheus writes it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// Upper bound and cumulative count, by rising bound; the infinite one is left out.
    pub buckets: Vec<(f64, f64)>,
    /// Sum of the observations. Envoy rebuilds it from bins, up to 5 % off.
    pub sum: f64,
    /// Number of observations.
    pub count: f64,
}

impl Histogram {
    /// Sets the cumulative count up to `bound`. False when that bound was there already, in which
    /// case the new count stands, or when the bound makes no sense or is one too many.
    pub(super) fn set_bucket(&mut self, bound: f64, count: f64) -> bool {
        match self.buckets.binary_search_by(|(at, _)| at.total_cmp(&bound)) {
            Ok(place) => {
                if let Some(bucket) = self.buckets.get_mut(place) {
                    bucket.1 = count;
                }
                false
            }
            Err(place) if bound.is_finite() && self.buckets.len() < MAX_BUCKETS => {
                self.buckets.insert(place, (bound, count));
                true
            }
            // The infinite bucket says what the count says.
            Err(_) => bound == f64::INFINITY,
        }
    }

    /// What came since an earlier state of the same histogram; `None` when it started over.
    pub fn since(&self, before: &Self) -> Option<Self> {
        let was = |bound: &f64| {
            let place = before.buckets.binary_search_by(|(at, _)| at.total_cmp(bound)).ok();
            place.and_then(|place| before.buckets.get(place)).map_or(0.0, |(_, count)| *count)
        };
        let buckets = self.buckets.iter().map(|(bound, count)| (*bound, count - was(bound)));
        let grown = Self {
            buckets: buckets.collect(),
            sum: self.sum - before.sum,
            count: self.count - before.count,
        };
        let fell = grown.count < 0.0 || grown.buckets.iter().any(|(_, count)| *count < 0.0);
        (!fell).then_some(grown)
    }

    /// Adds another one up, bucket by bucket; both have the bounds of one catalogue row.
    pub fn merge(&mut self, other: &Self) {
        for (bound, count) in &other.buckets {
            match self.buckets.binary_search_by(|(at, _)| at.total_cmp(bound)) {
                Ok(place) => {
                    if let Some((_, sum)) = self.buckets.get_mut(place) {
                        *sum += count;
                    }
                }
                Err(place) => self.buckets.insert(place, (*bound, *count)),
            }
        }
        self.sum += other.sum;
        self.count += other.count;
    }

    /// The value below which a share `q` of the observations lies, by linear interpolation within
    /// the bucket, as Prometheus' `histogram_quantile` does it. Beyond the last bound it is that
    /// bound. `None` without observations.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let rank = q * self.count;
        let last = self.buckets.last().filter(|_| self.count > 0.0)?;
        let Some(place) = self.buckets.iter().position(|(_, count)| *count >= rank) else {
            return Some(last.0);
        };
        let (bound, count) = *self.buckets.get(place)?;
        let below = place.checked_sub(1).and_then(|below| self.buckets.get(below));
        let (start, below) = below.copied().unwrap_or((0.0, 0.0));
        let inside = count - below;
        Some(if inside > 0.0 { start + (bound - start) * (rank - below) / inside } else { bound })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_sorted_unique_and_bounded() {
        let mut histogram = Histogram::default();
        assert!(histogram.set_bucket(2.0, 3.0));
        assert!(histogram.set_bucket(1.0, 1.0));
        assert!(histogram.set_bucket(f64::INFINITY, 9.0));
        assert!(!histogram.set_bucket(2.0, 4.0), "twice");
        assert!(!histogram.set_bucket(f64::NAN, 4.0));
        assert_eq!(histogram.buckets, [(1.0, 1.0), (2.0, 4.0)]);
        for bound in 3..1000_u16 {
            histogram.set_bucket(f64::from(bound), 4.0);
        }
        assert_eq!(histogram.buckets.len(), MAX_BUCKETS);
    }

    #[test]
    fn quantiles_interpolate_as_prometheus_does() {
        let buckets = vec![(1.0, 0.0), (2.0, 10.0), (4.0, 90.0)];
        let histogram = Histogram { buckets, sum: 0.0, count: 100.0 };
        assert_eq!(histogram.quantile(0.05), Some(1.5));
        assert_eq!(histogram.quantile(0.5), Some(3.0));
        assert_eq!(histogram.quantile(0.99), Some(4.0));
        assert_eq!(Histogram::default().quantile(0.5), None);
    }

    #[test]
    fn histograms_add_up() {
        let one = Histogram { buckets: vec![(1.0, 1.0), (2.0, 3.0)], sum: 4.0, count: 3.0 };
        let mut sum = Histogram { buckets: vec![(2.0, 1.0)], sum: 1.5, count: 1.0 };
        sum.merge(&one);
        assert_eq!(sum.buckets, [(1.0, 1.0), (2.0, 4.0)]);
        assert_eq!((sum.sum, sum.count), (5.5, 4.0));
    }
}
