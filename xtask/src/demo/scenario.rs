//! What happens in the demo: how the simulated server answers, how requests go, and what scripted GPUs say.

use std::fmt::Write as _;

/// A state of affairs to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Scenario {
    /// All is well.
    Healthy,
    /// First tokens take seconds: the TTFT SLO burns.
    SlowPrefill,
    /// Streams stand still in the middle: tokens per second fall, the duration SLO burns.
    Stalls,
    /// Overload, time-outs and errors inside HTTP 200: the error budget burns.
    ErrorStorm,
    /// Clients leave: GPU time is wasted.
    Aborts,
    /// A GPU is full, throttled by its heat, and falls off the bus.
    GpuHot,
    /// Nobody asks, and the host is paid for all the same.
    Idle,
}

/// Two H100, as `fake-nvml/README.md` explains.
struct Gpus {
    utilization: u32,
    memory_used: u64,
    watts: u64,
    celsius: u32,
    /// What holds the clocks down, as NVML's bits.
    clock_events: u32,
    /// When the first GPU falls off the bus, in seconds.
    lost_after: Option<u32>,
}

const BUSY: Gpus = Gpus {
    utilization: 85,
    memory_used: 68_000_000_000,
    watts: 520,
    celsius: 62,
    clock_events: 0,
    lost_after: None,
};

impl Scenario {
    /// How requests go, as the load client's `--mix`; `None` where there are none.
    pub(crate) fn mix(self) -> Option<&'static str> {
        match self {
            Self::Healthy | Self::SlowPrefill | Self::GpuHot => Some("ok=1"),
            Self::Stalls => Some("ok=30,stall:4:6000=70"),
            Self::ErrorStorm => {
                Some("ok=50,http:503=30,http:429:rate_limit_exceeded=5,error_in_stream=15")
            }
            Self::Aborts => Some("ok=40,abort=60"),
            Self::Idle => None,
        }
    }

    /// The simulated server's models as TOML; `None` for its own.
    pub(crate) fn models(self) -> Option<&'static str> {
        const SLOW: &str =
            "[[model]]\nname = \"llama-3.1-8b\"\nttft_ms = 3500.0\nttft_jitter_ms = 900.0\n";
        (self == Self::SlowPrefill).then_some(SLOW)
    }

    /// The models to ask for; empty for all of the server's own.
    pub(crate) fn asked(self) -> &'static [&'static str] {
        if self == Self::SlowPrefill { &["llama-3.1-8b"] } else { &[] }
    }

    /// The script of the GPUs.
    pub(crate) fn gpus(self) -> String {
        let gpus = match self {
            Self::GpuHot => Gpus {
                memory_used: 84_000_000_000,
                watts: 690,
                celsius: 91,
                // Hardware thermal slowdown.
                clock_events: 0x40,
                lost_after: Some(15),
                ..BUSY
            },
            Self::Idle => Gpus { utilization: 0, watts: 75, celsius: 34, ..BUSY },
            _ => BUSY,
        };
        gpus.script()
    }
}

impl Gpus {
    fn script(&self) -> String {
        /// Seconds of a day, after which energy stands still.
        const DAY: u64 = 86_400;
        let Self { utilization, memory_used, watts, celsius, clock_events, lost_after } = self;
        let (milliwatts, millijoules) = (watts * 1000, watts * 1000 * DAY);
        let mut script = String::new();
        for index in 0..2 {
            // XID 79 says that the GPU has fallen off the bus.
            let lost_after = lost_after.filter(|_| index == 0);
            let xids = lost_after.map(|second| format!("[{second}, 79]")).unwrap_or_default();
            // Writing into a string cannot fail.
            let _ = writeln!(
                script,
                "[[gpus]]\n\
                 uuid = \"GPU-{index}\"\n\
                 name = \"NVIDIA H100 80GB HBM3\"\n\
                 utilization = {utilization}\n\
                 memory_utilization = {}\n\
                 memory = {{ total = 85899345920, used = {memory_used} }}\n\
                 power_milliwatts = {milliwatts}\n\
                 power_limit_milliwatts = 700000\n\
                 energy_millijoules = {{ line = [[0, 0], [{DAY}, {millijoules}]] }}\n\
                 temperature = {celsius}\n\
                 sm_clock = 1980\n\
                 clock_event_reasons = {clock_events}\n\
                 xids = [{xids}]\n",
                utilization / 2,
            );
        }
        if let Some(second) = lost_after {
            let _ = writeln!(
                script,
                "[[rules]]\ncall = \"*\"\ngpu = 0\nfrom = {}\nreturns = 15",
                second + 1
            );
        }
        script
    }
}
