//! Grafana's dashboards, made from their sources in `monitoring/grafana/source/`.

mod grafana;

use crate::workspace;
use serde::Deserialize;
use std::fs;
use std::path::PathBuf;

/// Variables that a source may name, with what Grafana asks Prometheus for their values.
pub const VARIABLES: &[(&str, &str, &str)] = &[
    ("model", "gaugeway_requests_total", "model"),
    ("upstream", "gaugeway_requests_total", "upstream"),
    ("tenant", "gaugeway_requests_total{tenant!=\"\"}", "tenant"),
    ("instance", "gaugeway_source_up", "instance"),
];

/// One dashboard, as its source tells it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dashboard {
    /// What its address in Grafana ends with: fixed, so that links to it last.
    pub uid: String,
    /// Its title.
    pub title: String,
    /// What it is for.
    pub description: String,
    /// Its variables, of [`VARIABLES`].
    pub variables: Vec<String>,
    /// Rows of panels, each with a heading.
    pub sections: Vec<Section>,
}

/// Panels under a heading.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// The heading.
    pub title: String,
    /// The panels, in reading order.
    pub panels: Vec<Panel>,
}

/// One panel.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Panel {
    /// Its title.
    pub title: String,
    /// What the figure is, and over which window.
    pub description: String,
    /// Lines over time, unless it says otherwise.
    #[serde(default)]
    pub kind: PanelKind,
    /// Columns of the grid's 24.
    pub width: u32,
    /// Grafana's name of the unit.
    pub unit: String,
    /// Whether the figure may be below 0.
    #[serde(default)]
    pub signed: bool,
    /// Draws areas upon each other: for parts of a whole.
    #[serde(default)]
    pub stacked: bool,
    /// Where the scale ends, for figures that have an end.
    #[serde(default)]
    pub max: Option<f64>,
    /// A threshold of the alerts, drawn as a line.
    #[serde(default)]
    pub threshold: Option<String>,
    /// What is shown.
    pub queries: Vec<Query>,
}

/// How a panel shows its figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PanelKind {
    /// Lines over time.
    #[default]
    Timeseries,
    /// Large figures: what is now.
    Stat,
    /// Bars: what is now.
    Bargauge,
    /// One line per set of labels, one column per query: what is now.
    Table,
    /// A histogram over time.
    Heatmap,
}

/// A legend and its PromQL; the unit, where a table's column has another than the table.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Query {
    /// In the panel's unit.
    Plain(String, String),
    /// In a unit of its own.
    Measured(String, String, String),
}

impl Query {
    /// What its series are called.
    pub fn legend(&self) -> &str {
        let (Self::Plain(legend, _) | Self::Measured(legend, ..)) = self;
        legend
    }

    /// Its PromQL.
    pub fn expression(&self) -> &str {
        let (Self::Plain(_, expression) | Self::Measured(_, expression, _)) = self;
        expression
    }
}

impl Dashboard {
    /// All panels.
    pub fn panels(&self) -> impl Iterator<Item = &Panel> {
        self.sections.iter().flat_map(|section| &section.panels)
    }

    /// All PromQL: of panels, thresholds and variables.
    pub fn expressions(&self) -> impl Iterator<Item = String> {
        let of_panels = self.panels().flat_map(|panel| {
            let shown = panel.queries.iter().map(|query| query.expression().to_owned());
            shown.chain(panel.threshold.clone())
        });
        let of_variables = VARIABLES
            .iter()
            .filter(|(name, ..)| self.variables.iter().any(|variable| variable == name))
            .map(|(_, series, label)| format!("count by ({label}) ({series})"));
        of_panels.chain(of_variables)
    }
}

/// Every dashboard, in the order of their files' names.
pub fn all() -> Vec<(String, Dashboard)> {
    let folder = workspace().join("monitoring/grafana/source");
    let entries = fs::read_dir(&folder).expect("there are sources");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    files.iter().map(read).collect()
}

fn read(file: &PathBuf) -> (String, Dashboard) {
    let text =
        fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let source =
        serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let name = file.file_stem().expect("a file has a name").to_string_lossy().into_owned();
    (name, source)
}
