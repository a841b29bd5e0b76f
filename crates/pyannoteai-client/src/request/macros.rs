/// The setters of every request, for a type with a field `common`.
macro_rules! common_setters {
    () => {
        /// Sets the webhook, the URL that receives the result. Default: the client's webhook, if any.
        ///
        /// # Errors
        ///
        /// Returns [`InvalidRequest`] if the URL is not `https`, nor `http` with a loopback address.
        pub fn with_webhook(mut self, url: impl AsRef<str>) -> Result<Self, InvalidRequest> {
            self.common.webhook = Some(Address::webhook(url.as_ref())?);
            Ok(self)
        }

        /// Sets whether the webhook has only the status, without the output. Default: no.
        ///
        /// [`FetchOutput`](crate::FetchOutput) fetches the output before the handlers run.
        pub fn with_webhook_status_only(mut self, status_only: bool) -> Self {
            self.common.webhook_status_only = Some(status_only);
            self
        }

        /// Sets a reference of your own that travels with the job, such as a key of your database. Default: none.
        ///
        /// The reference is not sent to pyannoteAI. The [`SubmissionLog`](crate::SubmissionLog) keeps it. If the log is an
        /// inbox, the job's event has the reference:
        /// [`WebhookEvent::reference`](tower_pyannote::WebhookEvent::reference). Several jobs may have the same reference.
        /// Logs may show it.
        ///
        /// # Errors
        ///
        /// Returns [`InvalidRequest`] if the reference is empty, longer than 255 bytes, or has a control character.
        pub fn with_reference(
            mut self,
            reference: impl AsRef<str>,
        ) -> Result<Self, InvalidRequest> {
            self.common.reference = Some(check_reference(reference.as_ref())?);
            Ok(self)
        }

        /// Sets a small JSON of your own that travels with the job, as the [reference](Self::with_reference) does. Default:
        /// none.
        ///
        /// The job's event has it as [`WebhookEvent::metadata`](tower_pyannote::WebhookEvent::metadata). No log and no
        /// `Debug` shows it.
        ///
        /// # Errors
        ///
        /// Returns [`InvalidRequest`] if the value cannot be written as JSON, or if the JSON has more than 4,096 bytes.
        pub fn with_metadata(
            mut self,
            metadata: &(impl Serialize + ?Sized),
        ) -> Result<Self, InvalidRequest> {
            self.common.metadata = Some(check_metadata(metadata)?);
            Ok(self)
        }
    };
}

/// The setters of diarization and identification, for a type with a field `analysis`.
macro_rules! analysis_setters {
    () => {
        /// Sets the number of speakers. Default: the API detects it.
        ///
        /// # Errors
        ///
        /// Returns [`InvalidRequest`] if the number is 0, or if the request has a minimum or maximum.
        pub fn with_num_speakers(mut self, number: u32) -> Result<Self, InvalidRequest> {
            self.analysis.num_speakers = Some(at_least_one("numSpeakers", number)?);
            self.analysis.check_speakers("numSpeakers")?;
            Ok(self)
        }

        /// Sets the minimum number of speakers. Default: none.
        ///
        /// # Errors
        ///
        /// Returns [`InvalidRequest`] if the number is 0 or greater than the maximum, or if the request has a number of
        /// speakers.
        pub fn with_min_speakers(mut self, number: u32) -> Result<Self, InvalidRequest> {
            self.analysis.min_speakers = Some(at_least_one("minSpeakers", number)?);
            self.analysis.check_speakers("minSpeakers")?;
            Ok(self)
        }

        /// Sets the maximum number of speakers. Default: none.
        ///
        /// # Errors
        ///
        /// Returns [`InvalidRequest`] if the number is 0 or less than the minimum, or if the request has a number of
        /// speakers.
        pub fn with_max_speakers(mut self, number: u32) -> Result<Self, InvalidRequest> {
            self.analysis.max_speakers = Some(at_least_one("maxSpeakers", number)?);
            self.analysis.check_speakers("maxSpeakers")?;
            Ok(self)
        }

        analysis_flags! {
            /// Sets whether each turn has a confidence. Default: no.
            with_turn_level_confidence => turn_level_confidence,
            /// Sets whether the output has a second diarization, without overlapping speech. Default: no.
            with_exclusive => exclusive,
            /// Sets whether the output has the confidence over time. Default: no.
            with_confidence => confidence,
            /// Sets whether the output has the probability of speech over time. Default: no.
            with_speech_probability => speech_probability,
            /// Sets whether the output has the probability of overlapping speech over time. Default: no.
            with_crosstalk_probability => crosstalk_probability,
            /// Sets whether the output has the probability of each speaker over time. Default: no.
            with_speaker_probability => speaker_probability,
        }
    };
}

macro_rules! analysis_flags {
    ($($(#[$doc:meta])* $setter:ident => $field:ident,)*) => {
        $(
            $(#[$doc])*
            pub fn $setter(mut self, wanted: bool) -> Self {
                self.analysis.$field = Some(wanted);
                self
            }
        )*
    };
}
