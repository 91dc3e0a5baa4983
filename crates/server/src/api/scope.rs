//! Components, pipelines and builds of pytest-monitor as filters.

use super::error::ApiError;
use casebook_app::resources::Scope;
use serde::Deserialize;
use utoipa::IntoParams;

/// Only what has metrics of pytest-monitor, and which. Everything that is said must hold.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct WantedScope {
    /// Only with metrics of this component; empty for metrics that name none.
    component: Option<String>,
    /// Only with metrics of sessions of this pipeline (their tag `pipeline_branch`).
    pipeline: Option<String>,
    /// Only with metrics of sessions of this build of the pipeline (their tag `pipeline_build_no`).
    build: Option<String>,
}

impl WantedScope {
    /// What is asked for, if it means something.
    pub(super) fn check(self) -> Result<Scope, ApiError> {
        let Self { component, pipeline, build } = self;
        if build.is_some() && pipeline.is_none() {
            return Err(ApiError::BadRequest(
                "build needs pipeline: name the pipeline it is a build of".to_owned(),
            ));
        }
        Ok(Scope { component, pipeline, build })
    }
}
