//! GPM: how busy the parts of a GPU were between two samples. Hopper and newer.

use std::time::{Duration, Instant};

use nvml_wrapper::Nvml;
use nvml_wrapper::enums::gpm::GpmMetricId;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::gpm::{GpmSample, gpm_metrics_get};

use super::calls::Calls;
use crate::gpu::Activity;

/// Between samples closer than this the driver has too little to go by.
const SHORTEST: Duration = Duration::from_secs(1);
/// Over a longer time the hardware's counters may have wrapped.
const LONGEST: Duration = Duration::from_mins(10);

/// In the order of the fields of [`Activity`].
const METRICS: [GpmMetricId; 5] = [
    GpmMetricId::GraphicsUtil,
    GpmMetricId::SmUtil,
    GpmMetricId::SmOccupancy,
    GpmMetricId::AnyTensorUtil,
    GpmMetricId::DramBwUtil,
];

/// The GPM of one GPU or MIG instance.
#[derive(Debug, Default)]
pub(super) struct Gpm<'nvml> {
    before: Option<(Instant, GpmSample<'nvml>)>,
    activity: Option<Activity>,
}

impl<'nvml> Gpm<'nvml> {
    /// The activity since the sample before; of the last window when the next one is too short.
    pub(super) fn read(
        &mut self,
        nvml: &'nvml Nvml,
        calls: &mut Calls,
        take: impl FnOnce() -> Result<GpmSample<'nvml>, NvmlError>,
    ) -> Option<Activity> {
        let now = Instant::now();
        if self.before.as_ref().is_some_and(|(at, _)| now.duration_since(*at) < SHORTEST) {
            return self.activity;
        }
        let before = self.before.take();
        self.activity = None;
        let sample = calls.ask("gpm_sample", take)?;
        let recent = before.filter(|(at, _)| now.duration_since(*at) <= LONGEST);
        if let Some((_, before)) = &recent {
            let metrics = || gpm_metrics_get(nvml, before, &sample, &METRICS);
            self.activity = calls.ask("gpm_metrics_get", metrics).map(|metrics| {
                let mut values = metrics.into_iter().map(|metric| Some(metric.ok()?.value));
                let mut next = || values.next().flatten().filter(|value| value.is_finite());
                Activity {
                    graphics: next(),
                    sm: next(),
                    sm_occupancy: next(),
                    tensor: next(),
                    dram_bandwidth: next(),
                }
            });
        }
        self.before = Some((now, sample));
        self.activity
    }
}
