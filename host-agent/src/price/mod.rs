//! What the host costs per hour, and how that is known.
//!
//! ```text
//! [price] usd_per_hour ───────────────► configured, whatever else is known
//! [price.owned] capital, lifetime ────► amortisation, plus measured energy × PUE × tariff
//! [price] instance_type, region ─┐
//! [price] detect: metadata ──────┴────► the compiled-in catalogue, on demand only
//! ```
//!
//! Without an answer there is no price and no cost figure: nothing here has a default.

mod catalogue;
pub(crate) mod cloud;

use std::str::FromStr;
use std::time::Duration;

use crate::cost::{Electricity, HourlyPrice, Rates};

pub use catalogue::{Listed, find};
pub use cloud::{Detection, Metadata, MetadataError};

/// The section of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct PriceConfig {
    /// Where the price comes from.
    pub basis: Basis,
    /// What is known of the instance without asking anybody.
    pub instance: Option<Instance>,
    /// The metadata service to ask for what the instance is.
    pub detect: Option<Provider>,
    /// On top: storage, network, licences.
    pub overhead: Option<HourlyPrice>,
    /// Billed on top by what the GPUs measured.
    pub electricity: Option<Electricity>,
}

/// Where the price comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Basis {
    /// The configuration says it.
    Configured(HourlyPrice),
    /// Own hardware: what was paid for it, spread over its life.
    Owned(HourlyPrice),
    /// The compiled-in list.
    Catalogue,
}

/// A rented machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instance {
    /// Who rents it out.
    pub provider: Option<Provider>,
    /// As the provider calls it; empty where that is not known.
    pub instance_type: String,
    /// Where it stands.
    pub region: Option<String>,
    /// How it is paid for.
    pub market: Option<Market>,
}

/// Who rents machines out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// Amazon EC2.
    Aws,
    /// Google Compute Engine.
    Gcp,
    /// Microsoft Azure.
    Azure,
}

impl Provider {
    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Gcp => "gcp",
            Self::Azure => "azure",
        }
    }
}

impl FromStr for Provider {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "aws" => Ok(Self::Aws),
            "gcp" => Ok(Self::Gcp),
            "azure" => Ok(Self::Azure),
            other => Err(format!("`{other}` is neither aws, gcp nor azure")),
        }
    }
}

/// How a machine is paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Market {
    /// At list price.
    OnDemand,
    /// At a price that moves.
    Spot,
}

impl Market {
    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OnDemand => "on_demand",
            Self::Spot => "spot",
        }
    }
}

/// Why there is no price.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    /// The catalogue has no such type.
    #[error("{0} is not in the catalogue; set price.usd_per_hour")]
    NotListed(String),
    /// The catalogue has the type elsewhere.
    #[error("the catalogue has {instance_type}, but not for {region}; set price.usd_per_hour")]
    OtherRegion {
        /// The type.
        instance_type: String,
        /// The region that was asked for.
        region: String,
    },
    /// List prices say nothing about a spot instance.
    #[error("the catalogue has no spot prices; set price.usd_per_hour")]
    Spot,
    /// The metadata service has not said yet what the instance is.
    #[error("the instance type is not known: {0}")]
    Unknown(String),
}

/// A price and its origin.
#[derive(Clone, Debug, PartialEq)]
pub struct Price {
    /// What accrues.
    pub rates: Rates,
    /// The `price_source` label: `config`, `owned` or `catalogue`.
    pub source: &'static str,
    /// When the catalogue's price was listed.
    pub as_of: Option<&'static str>,
    /// What is known of the instance.
    pub instance: Option<Instance>,
}

impl PriceConfig {
    /// The price, given what the metadata service has said so far.
    pub fn resolve(&self, detected: Result<&Instance, &str>) -> Result<Price, PriceError> {
        let instance = match (&self.instance, detected) {
            (Some(instance), _) => Some(instance),
            (None, Ok(detected)) => Some(detected),
            (None, Err(_)) => None,
        };
        let (price, source, as_of) = match self.basis {
            Basis::Configured(price) => (price, "config", None),
            Basis::Owned(price) => (price, "owned", None),
            Basis::Catalogue => {
                let unknown =
                    || PriceError::Unknown(detected.err().unwrap_or("not set").to_owned());
                let listed = find(instance.ok_or_else(unknown)?)?;
                (listed.price, "catalogue", Some(listed.as_of))
            }
        };
        Ok(Price {
            rates: Rates {
                instance: price,
                overhead: self.overhead,
                electricity: self.electricity,
            },
            source,
            as_of,
            instance: instance.cloned(),
        })
    }
}

/// The price as the collector follows it: the configuration may be reloaded, and the metadata
/// service is asked until it has answered once.
#[derive(Debug)]
pub struct Pricing {
    config: Option<PriceConfig>,
    detection: Option<Detection>,
}

/// How long to wait before a metadata service that did not answer is asked again.
const DETECT_AGAIN: Duration = Duration::from_mins(5);

impl Pricing {
    /// Starts with what the configuration says; `None` without a `[price]`.
    pub fn new(config: Option<PriceConfig>) -> Self {
        let detect = config.as_ref().and_then(|config| config.detect);
        Self {
            config,
            detection: detect.map(|cloud| Detection::new(Metadata::of(cloud), DETECT_AGAIN)),
        }
    }

    /// Takes a reloaded configuration. What was detected stays known.
    pub fn reload(&mut self, config: Option<PriceConfig>) {
        let detect = config.as_ref().and_then(|config| config.detect);
        if detect != self.config.as_ref().and_then(|config| config.detect) {
            *self = Self::new(config);
        } else {
            self.config = config;
        }
    }

    /// The price now. The metadata service is asked in the background.
    pub async fn now(&mut self) -> Result<Price, String> {
        let Some(config) = &self.config else {
            return Err("no [price] in the configuration".to_owned());
        };
        let detected = match &mut self.detection {
            Some(detection) => detection.poll().await,
            None => Err("no instance_type and no detect in [price]"),
        };
        config.resolve(detected).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(dollars: f64) -> HourlyPrice {
        HourlyPrice::from_dollars(dollars).unwrap()
    }

    fn config(basis: Basis) -> PriceConfig {
        PriceConfig { basis, instance: None, detect: None, overhead: None, electricity: None }
    }

    fn h100() -> Instance {
        Instance {
            provider: Some(Provider::Aws),
            instance_type: "p5.4xlarge".to_owned(),
            region: Some("us-east-1".to_owned()),
            market: Some(Market::OnDemand),
        }
    }

    #[test]
    fn a_configured_price_wins_and_keeps_the_labels() {
        let found = config(Basis::Configured(price(5.0))).resolve(Ok(&h100())).unwrap();
        assert_eq!((found.rates.instance, found.source, found.as_of), (price(5.0), "config", None));
        assert_eq!(found.instance, Some(h100()));
    }

    #[test]
    fn the_catalogue_answers_for_what_is_configured_or_detected() {
        let configured = PriceConfig { instance: Some(h100()), ..config(Basis::Catalogue) };
        for found in [
            configured.resolve(Err("never asked")).unwrap(),
            config(Basis::Catalogue).resolve(Ok(&h100())).unwrap(),
        ] {
            assert_eq!(found.rates.instance, price(6.88));
            assert_eq!((found.source, found.as_of), ("catalogue", Some("2026-07-20")));
        }
    }

    #[tokio::test]
    async fn without_an_answer_there_is_no_price() {
        let error = config(Basis::Catalogue).resolve(Err("no answer within 1s")).unwrap_err();
        assert_eq!(error.to_string(), "the instance type is not known: no answer within 1s");
        assert!(Pricing::new(None).now().await.is_err());
    }

    #[tokio::test]
    async fn a_reload_changes_the_price() {
        let mut pricing = Pricing::new(Some(config(Basis::Configured(price(5.0)))));
        assert_eq!(pricing.now().await.unwrap().rates.instance, price(5.0));
        pricing.reload(Some(config(Basis::Configured(price(2.5)))));
        assert_eq!(pricing.now().await.unwrap().rates.instance, price(2.5));
        pricing.reload(None);
        assert!(pricing.now().await.is_err());
    }
}
