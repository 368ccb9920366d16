//! List prices that are compiled in: few, dated, on demand. A configured price always wins.

use super::{Instance, Market, PriceError, Provider};
use crate::cost::HourlyPrice;

const PRICES: &str = include_str!("prices.csv");

/// One row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Listed {
    /// Who rents it out.
    pub provider: Provider,
    /// As the provider calls it.
    pub instance_type: &'static str,
    /// Where it costs this much.
    pub region: &'static str,
    /// Which GPUs it has; `None` where that is not known.
    pub gpu_model: Option<&'static str>,
    /// On demand.
    pub price: HourlyPrice,
    /// When the price was listed, `YYYY-MM-DD`.
    pub as_of: &'static str,
    /// Where it was read.
    pub source: &'static str,
}

/// What an instance costs, when exactly this type in exactly this region is listed.
pub fn find(instance: &Instance) -> Result<Listed, PriceError> {
    if instance.market == Some(Market::Spot) {
        return Err(PriceError::Spot);
    }
    let of_type = |row: &Listed| {
        row.instance_type == instance.instance_type
            && instance.provider.is_none_or(|provider| provider == row.provider)
    };
    let mut candidates = rows().filter(of_type).peekable();
    if candidates.peek().is_none() {
        return Err(PriceError::NotListed(instance.instance_type.clone()));
    }
    candidates.find(|row| instance.region.as_deref() == Some(row.region)).ok_or_else(|| {
        PriceError::OtherRegion {
            instance_type: instance.instance_type.clone(),
            region: instance.region.clone().unwrap_or_else(|| "an unknown region".to_owned()),
        }
    })
}

/// All rows; one that cannot be read is no row, which a test keeps from happening.
fn rows() -> impl Iterator<Item = Listed> {
    PRICES.lines().filter(|line| !line.starts_with('#')).skip(1).filter_map(row)
}

fn row(line: &'static str) -> Option<Listed> {
    let fields: Vec<_> = line.split(',').collect();
    let [provider, instance_type, region, gpu_model, _, _, _, price, as_of, source] = fields[..]
    else {
        return None;
    };
    Some(Listed {
        provider: provider.parse().ok()?,
        instance_type,
        region,
        gpu_model: Some(gpu_model).filter(|model| !model.is_empty()),
        price: HourlyPrice::from_dollars(price.parse().ok()?)?,
        as_of,
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(instance_type: &str, region: &str) -> Instance {
        Instance {
            provider: None,
            instance_type: instance_type.to_owned(),
            region: Some(region.to_owned()),
            market: None,
        }
    }

    #[test]
    fn every_line_is_a_row_of_its_own_with_a_date() {
        let lines = PRICES.lines().filter(|line| !line.starts_with('#')).count() - 1;
        let all: Vec<_> = rows().collect();
        assert_eq!(all.len(), lines);
        for row in &all {
            let date: Vec<_> = row.as_of.split('-').map(str::len).collect();
            assert_eq!(date, [4, 2, 2], "{row:?}");
            let same = |other: &&Listed| {
                (other.instance_type, other.region) == (row.instance_type, row.region)
            };
            assert_eq!(all.iter().filter(same).count(), 1, "{row:?}");
        }
    }

    #[test]
    fn only_the_very_type_region_and_market_has_a_price() {
        let found = find(&instance("p5.48xlarge", "us-east-1")).unwrap();
        assert_eq!((found.price.dollars(), found.as_of), (55.04, "2026-07-20"));
        assert_eq!(found.gpu_model, Some("H100"));
        for (instance, error) in [
            (instance("p5.49xlarge", "us-east-1"), "p5.49xlarge is not in the catalogue"),
            (instance("p5.48xlarge", "eu-north-1"), "not for eu-north-1"),
            (Instance { region: None, ..instance("p5.48xlarge", "") }, "not for an unknown region"),
            (
                Instance { provider: Some(Provider::Gcp), ..instance("p5.48xlarge", "us-east-1") },
                "not in the catalogue",
            ),
            (
                Instance { market: Some(Market::Spot), ..instance("p5.48xlarge", "us-east-1") },
                "spot",
            ),
        ] {
            let said = find(&instance).unwrap_err().to_string();
            assert!(said.contains(error), "{said}");
            assert!(said.contains("price.usd_per_hour"), "{said}");
        }
    }
}
