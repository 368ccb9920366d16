//! Label names, as they stand in encoded stat names and in Envoy's `stats_tags`.

/// A label of the catalogue.
///
/// Envoy's tag regexes are not anchored, so no label name may be the tail of another
/// (`reason` would match inside `finish_reason`); a test holds that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Label {
    /// The requested model, else the response's, else `unknown`.
    Model,
    /// The wire API: a closed set.
    Api,
    /// Envoy's cluster name.
    Upstream,
    /// The tenant, from one configured request header.
    Tenant,
    /// How the stream as a whole ended.
    Outcome,
    /// `stream` or `unary`.
    Mode,
    /// Error class: a closed set.
    Class,
    /// When the error came: before, in or after the stream.
    Phase,
    /// Normalised finish reason.
    Finish,
    /// Where a token count comes from: `reported` or `estimated`.
    Source,
    /// Why something is missing or degraded: a closed set.
    Reason,
    /// Which SLO was missed.
    Slo,
    /// Which label overflowed.
    Label,
    /// The filter's version.
    Version,
}

impl Label {
    /// Every label.
    pub const ALL: &'static [Self] = &[
        Self::Model,
        Self::Api,
        Self::Upstream,
        Self::Tenant,
        Self::Outcome,
        Self::Mode,
        Self::Class,
        Self::Phase,
        Self::Finish,
        Self::Source,
        Self::Reason,
        Self::Slo,
        Self::Label,
        Self::Version,
    ];

    /// The label's name on the wire and in Prometheus.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Api => "api",
            Self::Upstream => "upstream",
            Self::Tenant => "tenant",
            Self::Outcome => "outcome",
            Self::Mode => "mode",
            Self::Class => "class",
            Self::Phase => "phase",
            Self::Finish => "finish",
            Self::Source => "source",
            Self::Reason => "reason",
            Self::Slo => "slo",
            Self::Label => "label",
            Self::Version => "version",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_label_is_the_tail_of_another() {
        for a in Label::ALL {
            for b in Label::ALL.iter().filter(|b| *b != a) {
                assert!(!a.name().ends_with(b.name()), "{} ends in {}", a.name(), b.name());
            }
        }
    }
}
