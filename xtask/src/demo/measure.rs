//! What the filter and the agent say, once everything has arrived.

use super::access_log;
use super::report::{Agent, Envoy, Model, Report};
use super::stack::Stack;
use anyhow::Result;

pub(crate) fn report(stack: &Stack, truth: Vec<Model>) -> Result<Report> {
    unimplemented!()
}
