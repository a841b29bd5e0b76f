/// The setters of every request, for a type with a field `delivery`.
macro_rules! delivery_setters {
    () => {
        /// Sets where the result is delivered to. Default: the client's webhook, or none.
        ///
        /// # Errors
        ///
        /// The URL is not `https`, nor `http` on a loopback address.
        pub fn with_webhook(mut self, url: impl AsRef<str>) -> Result<Self, InvalidRequest> {
            self.delivery.webhook = Some(Address::of_webhook(url.as_ref())?);
            Ok(self)
        }

        /// Sets whether the webhook tells the status only, without the output. Default: no.
        pub fn with_webhook_status_only(mut self, status_only: bool) -> Self {
            self.delivery.webhook_status_only = Some(status_only);
            self
        }
    };
}

/// The setters that diarization and identification share, for a type with a field `analysis`.
macro_rules! analysis_setters {
    () => {
        /// Sets the number of speakers. Default: found out.
        ///
        /// # Errors
        ///
        /// The number is 0.
        pub fn with_num_speakers(mut self, number: u32) -> Result<Self, InvalidRequest> {
            self.analysis.num_speakers = Some(at_least_one("numSpeakers", number)?);
            Ok(self)
        }

        /// Sets the least number of speakers. Default: none.
        ///
        /// # Errors
        ///
        /// The number is 0, or over the greatest number.
        pub fn with_min_speakers(mut self, number: u32) -> Result<Self, InvalidRequest> {
            self.analysis.min_speakers = Some(at_least_one("minSpeakers", number)?);
            self.analysis.check_range("minSpeakers")?;
            Ok(self)
        }

        /// Sets the greatest number of speakers. Default: none.
        ///
        /// # Errors
        ///
        /// The number is 0, or below the least number.
        pub fn with_max_speakers(mut self, number: u32) -> Result<Self, InvalidRequest> {
            self.analysis.max_speakers = Some(at_least_one("maxSpeakers", number)?);
            self.analysis.check_range("maxSpeakers")?;
            Ok(self)
        }

        /// Sets whether each turn tells how sure it is. Default: no.
        pub fn with_turn_level_confidence(mut self, wanted: bool) -> Self {
            self.analysis.turn_level_confidence = Some(wanted);
            self
        }

        /// Sets whether there is also a diarization in which nobody speaks at once. Default: no.
        pub fn with_exclusive(mut self, wanted: bool) -> Self {
            self.analysis.exclusive = Some(wanted);
            self
        }

        /// Sets whether the output tells how sure it is over time. Default: no.
        pub fn with_confidence(mut self, wanted: bool) -> Self {
            self.analysis.confidence = Some(wanted);
            self
        }

        /// Sets whether the output tells how probable speech is over time. Default: no.
        pub fn with_speech_probability(mut self, wanted: bool) -> Self {
            self.analysis.speech_probability = Some(wanted);
            self
        }

        /// Sets whether the output tells how probable it is that several speak at once. Default: no.
        pub fn with_crosstalk_probability(mut self, wanted: bool) -> Self {
            self.analysis.crosstalk_probability = Some(wanted);
            self
        }

        /// Sets whether the output tells how probable each speaker is over time. Default: no.
        pub fn with_speaker_probability(mut self, wanted: bool) -> Self {
            self.analysis.speaker_probability = Some(wanted);
            self
        }
    };
}
