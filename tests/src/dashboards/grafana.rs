//! What Grafana reads.

use super::{Dashboard, Panel, PanelKind, Query, VARIABLES};
use serde_json::{Value, json};

/// The version of Grafana's dashboard format: that of Grafana 12. Later ones read it too.
const SCHEMA_VERSION: u32 = 42;

/// The columns of Grafana's grid.
const COLUMNS: u32 = 24;

impl Dashboard {
    /// As Grafana reads it.
    pub fn json(&self) -> String {
        let variables = self.variables.iter().map(|name| variable(name));
        let variables: Vec<Value> = [datasource()].into_iter().chain(variables).collect();
        let dashboard = json!({
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": ["gaugeway"],
            "schemaVersion": SCHEMA_VERSION,
            "editable": true,
            "graphTooltip": 1,
            "refresh": "30s",
            "time": {"from": "now-3h", "to": "now"},
            "timezone": "browser",
            "links": [{
                "title": "Gaugeway", "type": "dashboards", "tags": ["gaugeway"],
                "asDropdown": false, "includeVars": true, "keepTime": true, "targetBlank": false,
            }],
            "templating": {"list": variables},
            "annotations": {"list": []},
            "panels": self.laid_out(),
        });
        let text = serde_json::to_string_pretty(&dashboard).expect("JSON can be written");
        format!("{text}\n")
    }

    /// From left to right and from top to bottom.
    fn laid_out(&self) -> Vec<Value> {
        const HEADING: u32 = 1;
        let mut panels = Vec::new();
        let mut y = 0;
        for section in &self.sections {
            let id = panels.len() + 1;
            let place = json!({"x": 0, "y": y, "w": COLUMNS, "h": HEADING});
            panels.push(json!({
                "id": id, "type": "row", "title": section.title, "collapsed": false, "panels": [], "gridPos": place,
            }));
            y += HEADING;
            let (mut x, mut tallest) = (0, 0);
            for panel in &section.panels {
                if x + panel.width > COLUMNS {
                    (x, y, tallest) = (0, y + tallest, 0);
                }
                let height = panel.kind.height();
                let place = json!({"x": x, "y": y, "w": panel.width, "h": height});
                panels.push(panel.json(panels.len() + 1, &place));
                x += panel.width;
                tallest = tallest.max(height);
            }
            y += tallest;
        }
        panels
    }
}

impl PanelKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Timeseries => "timeseries",
            Self::Stat => "stat",
            Self::Bargauge => "bargauge",
            Self::Table => "table",
            Self::Heatmap => "heatmap",
        }
    }

    const fn height(self) -> u32 {
        match self {
            Self::Stat => 4,
            Self::Timeseries | Self::Bargauge | Self::Table | Self::Heatmap => 8,
        }
    }

    /// What Grafana needs to be told beside its defaults.
    fn options(self, unit: &str) -> Value {
        match self {
            Self::Timeseries => json!({
                "legend": {"displayMode": "list", "placement": "bottom", "showLegend": true},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }),
            Self::Stat => json!({
                "colorMode": "none", "graphMode": "area", "textMode": "auto",
                "reduceOptions": {"calcs": ["lastNotNull"]},
            }),
            Self::Bargauge => json!({
                "displayMode": "basic", "orientation": "horizontal", "reduceOptions": {"calcs": ["lastNotNull"]},
            }),
            Self::Table => json!({"cellHeight": "sm"}),
            Self::Heatmap => json!({"calculate": false, "yAxis": {"unit": unit}}),
        }
    }
}

impl Panel {
    fn json(&self, id: usize, place: &Value) -> Value {
        let drawn = match self.stacked {
            true => json!({"fillOpacity": 30, "stacking": {"mode": "normal", "group": "A"}}),
            false => json!({"fillOpacity": 5}),
        };
        let custom = if self.kind == PanelKind::Timeseries { drawn } else { json!({}) };
        let mut panel = json!({
            "id": id,
            "type": self.kind.name(),
            "title": self.title,
            "description": self.description,
            "gridPos": place,
            "datasource": prometheus(),
            "targets": self.targets(),
            "fieldConfig": {
                "defaults": {"unit": self.unit, "custom": custom},
                "overrides": self.overrides(),
            },
            "options": self.kind.options(&self.unit),
        });
        if !self.signed {
            panel["fieldConfig"]["defaults"]["min"] = 0.into();
        }
        if let Some(max) = self.max {
            panel["fieldConfig"]["defaults"]["max"] = max.into();
        }
        if self.kind == PanelKind::Table {
            panel["transformations"] = self.one_table();
        }
        panel
    }

    fn targets(&self) -> Vec<Value> {
        let shown = self.queries.iter().map(|query| (query.legend(), query.expression()));
        let threshold = self.threshold.iter().map(|series| ("threshold", series.as_str()));
        let is_now = self.kind == PanelKind::Table;
        let format = match self.kind {
            PanelKind::Table => "table",
            PanelKind::Heatmap => "heatmap",
            _ => "time_series",
        };
        let target = |(letter, (legend, expression)): (char, (&str, &str))| {
            json!({
                "refId": letter.to_string(), "datasource": prometheus(), "expr": expression,
                "legendFormat": legend, "instant": is_now, "range": !is_now, "format": format,
            })
        };
        ('A'..='Z').zip(shown.chain(threshold)).map(target).collect()
    }

    /// The threshold's line is dashed; columns have their own units.
    fn overrides(&self) -> Vec<Value> {
        let threshold = self.threshold.iter().map(|_| {
            by_name(
                "threshold",
                &[
                    ("color", json!({"mode": "fixed", "fixedColor": "red"})),
                    ("custom.lineStyle", json!({"fill": "dash", "dash": [10, 10]})),
                    ("custom.fillOpacity", json!(0)),
                ],
            )
        });
        let columns = self.queries.iter().filter_map(|query| match query {
            Query::Plain(..) => None,
            Query::Measured(name, _, unit) => Some(by_name(name, &[("unit", json!(unit))])),
        });
        threshold.chain(columns).collect()
    }

    /// Joins the queries' tables by their labels, and calls each value as its query is called.
    fn one_table(&self) -> Value {
        let names = ('A'..='Z').zip(&self.queries);
        let renamed: serde_json::Map<String, Value> = match self.queries.as_slice() {
            [only] => [("Value".to_owned(), json!(only.legend()))].into_iter().collect(),
            _ => names
                .map(|(letter, query)| (format!("Value #{letter}"), json!(query.legend())))
                .collect(),
        };
        json!([
            {"id": "merge", "options": {}},
            {"id": "organize", "options": {"excludeByName": {"Time": true, "__name__": true, "job": true}, "renameByName": renamed}},
        ])
    }
}

fn prometheus() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

fn datasource() -> Value {
    json!({"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"})
}

fn variable(name: &str) -> Value {
    let (_, series, label) = VARIABLES
        .iter()
        .find(|(known, ..)| *known == name)
        .unwrap_or_else(|| panic!("no variable is called {name}"));
    let query = format!("label_values({series}, {label})");
    json!({
        "name": name, "label": name, "type": "query", "datasource": prometheus(),
        "query": {"query": query, "refId": name}, "definition": query,
        "multi": true, "includeAll": true, "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
        // With the time range, by name.
        "refresh": 2, "sort": 1,
    })
}

fn by_name(name: &str, properties: &[(&str, Value)]) -> Value {
    let properties: Vec<_> =
        properties.iter().map(|(id, value)| json!({"id": id, "value": value})).collect();
    json!({"matcher": {"id": "byName", "options": name}, "properties": properties})
}
