//! The `[price]` section: exactly one way to know the price.

use serde::Deserialize;

use super::Refusal;
use crate::cost::{Electricity, HourlyPrice, MAX_DOLLARS_PER_HOUR};
use crate::price::{Basis, Instance, Market, PriceConfig, Provider};

const HOURS_PER_YEAR: f64 = 365.25 * 24.0;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPrice {
    usd_per_hour: Option<f64>,
    overhead_usd_per_hour: Option<f64>,
    detect: Option<RawProvider>,
    provider: Option<RawProvider>,
    instance_type: Option<String>,
    region: Option<String>,
    market: Option<RawMarket>,
    owned: Option<RawOwned>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum RawProvider {
    Aws,
    Gcp,
    Azure,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum RawMarket {
    OnDemand,
    Spot,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOwned {
    capital_usd: f64,
    lifetime_years: f64,
    usd_per_kwh: f64,
    pue: f64,
}

impl RawPrice {
    pub(super) fn check(self) -> Result<PriceConfig, Refusal> {
        let refuse = |key: &str, reason: &str| Refusal::new(format!("price.{key}"), reason);
        let instance = self.instance();
        let (basis, electricity) = match (self.usd_per_hour, &self.owned) {
            (Some(_), Some(_)) => {
                return Err(refuse("owned", "give either usd_per_hour or [price.owned]"));
            }
            (Some(dollars), None) => {
                (Basis::Configured(hourly("price.usd_per_hour", dollars)?), None)
            }
            (None, Some(owned)) => {
                let (amortisation, electricity) = owned.check()?;
                (Basis::Owned(amortisation), Some(electricity))
            }
            (None, None) if self.detect.is_some() => (Basis::Catalogue, None),
            (None, None) if self.instance_type.is_some() => {
                if self.region.is_none() {
                    return Err(refuse("region", "list prices differ by region; name it"));
                }
                (Basis::Catalogue, None)
            }
            (None, None) => {
                let reason = "missing; or give instance_type and region, detect, or [price.owned]";
                return Err(refuse("usd_per_hour", reason));
            }
        };
        if self.detect.is_some() && instance.is_some() {
            return Err(refuse("detect", "is of no use where the instance is described"));
        }
        let overhead = self.overhead_usd_per_hour;
        Ok(PriceConfig {
            basis,
            instance,
            detect: self.detect.map(Provider::from),
            overhead: overhead
                .map(|dollars| hourly("price.overhead_usd_per_hour", dollars))
                .transpose()?,
            electricity,
        })
    }

    /// What the section says of the instance, if anything.
    fn instance(&self) -> Option<Instance> {
        let described = self.provider.is_some()
            || self.instance_type.is_some()
            || self.region.is_some()
            || self.market.is_some();
        described.then(|| Instance {
            provider: self.provider.map(Provider::from),
            instance_type: self.instance_type.clone().unwrap_or_default(),
            region: self.region.clone(),
            market: self.market.map(|market| match market {
                RawMarket::OnDemand => Market::OnDemand,
                RawMarket::Spot => Market::Spot,
            }),
        })
    }
}

impl RawOwned {
    fn check(&self) -> Result<(HourlyPrice, Electricity), Refusal> {
        let years = self.lifetime_years;
        if !(years > 0.0 && years <= 100.0) {
            return Err(Refusal::new("price.owned.lifetime_years", "must be above 0, at most 100"));
        }
        let hourly =
            hourly("price.owned.capital_usd", self.capital_usd / (years * HOURS_PER_YEAR))?;
        let electricity = Electricity::new(self.usd_per_kwh, self.pue).ok_or_else(|| {
            let reason = "usd_per_kwh must be above 0 and at most 100, pue from 1 to 10";
            Refusal::new("price.owned", reason)
        })?;
        Ok((hourly, electricity))
    }
}

impl From<RawProvider> for Provider {
    fn from(raw: RawProvider) -> Self {
        match raw {
            RawProvider::Aws => Self::Aws,
            RawProvider::Gcp => Self::Gcp,
            RawProvider::Azure => Self::Azure,
        }
    }
}

fn hourly(key: &str, dollars: f64) -> Result<HourlyPrice, Refusal> {
    HourlyPrice::from_dollars(dollars).ok_or_else(|| {
        let reason = format!(
            "must come to above 0 and at most {MAX_DOLLARS_PER_HOUR} an hour, is {dollars}"
        );
        Refusal::new(key, reason)
    })
}
