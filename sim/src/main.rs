//! `gaugeway-sim`: both ends of the wire as commands.

mod cli;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    match cli::run(cli::Command::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            cli::complain(&reason);
            ExitCode::FAILURE
        }
    }
}
