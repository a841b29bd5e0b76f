//! The form that explains a refused request.

use std::sync::Arc;

use axum::{Extension, extract::State};
use serde::Deserialize;
use tokio::task;

use super::Answer;
use crate::page::{
    PageState,
    access::Visitor,
    confirmed::ConfirmedForm,
    diagnose,
    error::Failed,
    html::{self, Page},
};

pub(in crate::page) async fn doctor(Extension(visitor): Extension<Visitor>) -> Page {
    html::doctor(&visitor, "", None)
}

#[derive(Debug, Deserialize)]
pub(in crate::page) struct DoctorForm {
    request: String,
}

/// Diagnoses a pasted request.
pub(in crate::page) async fn diagnose(
    State(state): State<Arc<PageState>>,
    sent: ConfirmedForm<DoctorForm>,
) -> Answer {
    let request = sent.form.request;
    let secrets = state.settings.doctor_secrets.clone();
    let permit = state.diagnoses.acquire().await;
    let pasted = request.clone();
    let diagnosis = task::spawn_blocking(move || diagnose::text(&pasted, &secrets)).await;
    drop(permit);
    let diagnosis =
        diagnosis.map_err(|_| Failed::Unavailable("the diagnosis failed".to_owned()))?;
    let diagnosis = diagnosis.map_err(Failed::Invalid)?;
    Ok(html::doctor(&sent.visitor, &request, Some(&diagnosis)))
}
