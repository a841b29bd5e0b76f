//! All causes: the stable name, and the end of the sentence that explains it.

#[derive(Clone, Copy)]
pub(super) struct Cause(pub(super) &'static str, pub(super) &'static str);

macro_rules! causes {
    ($($name:ident = $printed:literal: $text:literal;)*) => {
        $(pub(super) const $name: Cause = Cause($printed, $text);)*
    };
}

causes! {
    // After "secret 1".
    SECRET_EMPTY = "secret_empty": "is empty: copy it from the pyannoteAI dashboard";
    SECRET_BLANK = "secret_blank": "is blank: copy it from the pyannoteAI dashboard";
    SECRET_PADDED = "secret_padded": "has blanks or invisible characters around it: remove them";
    SECRET_ESCAPED_NEWLINE = "secret_escaped_newline": "ends with the two characters `\\n`: remove them";
    SECRET_QUOTED = "secret_quoted": "has quotes around it: remove them";
    SECRET_ASSIGNED = "secret_assigned": "has the name of the variable before it: set the value alone";
    SECRET_LISTED = "secret_listed": "contains several secrets: separate them by commas only";
    SECRET_PREFIX_ADDED = "secret_prefix_added": "begins with `whs_`, but the sender signs without it: sign with it";
    SECRET_PREFIX_MISSING = "secret_prefix_missing": "does not begin with `whs_`: copy the whole secret from the dashboard";
    SECRET_UPPER_CASE = "secret_upper_case": "is in upper case: copy it from the dashboard unchanged";
    SECRET_PERCENT_ENCODED = "secret_percent_encoded": "is percent-encoded: decode it";
    SECRET_HEX_DECODED = "secret_hex_decoded": "is decoded from hex by the sender: sign with the characters as they are";
    SECRET_BASE64_DECODED = "secret_base64_decoded": "is decoded from base64 by the sender: sign with the characters as they are";
    SECRET_NEWLINE_SIGNED = "secret_newline_signed": "has a newline at its end at the sender: remove the newline there";
    SECRET_UNLIKE = "secret_unlike": "is not `whs_` and 32 hex digits, as pyannoteAI's are: compare it with the dashboard";

    // After "the sender signed".
    SIGNED_WITHOUT_VERSION = "signed_without_version": "`timestamp:body`";
    SIGNED_WITHOUT_TIMESTAMP = "signed_without_timestamp": "`v0:body`";
    SIGNED_BODY_ALONE = "signed_body_alone": "the body alone";
    SIGNED_WITH_DOTS = "signed_with_dots": "`timestamp.body`";
    SIGNED_WITH_VERSION_AND_DOTS = "signed_with_version_and_dots": "`v0.timestamp.body`";
    SIGNED_WITHOUT_SEPARATOR = "signed_without_separator": "the timestamp and the body without a separator";
    SIGNED_WITH_OTHER_VERSION = "signed_with_other_version": "`v1:timestamp:body`";

    // After "the x-signature header".
    SIGNATURE_MISSING = "signature_missing": "is missing: let the proxy forward it";
    SIGNATURE_RENAMED = "signature_renamed": "is missing, but another header contains a signature: keep the name";
    SIGNATURE_REPEATED = "signature_repeated": "occurs more than once: find the proxy that adds one";
    SIGNATURE_PADDED = "signature_padded": "has blanks around its value: remove them";
    SIGNATURE_QUOTED = "signature_quoted": "has quotes around its value: remove them";
    SIGNATURE_JOINED = "signature_joined": "contains several values: find the proxy that joins headers";
    SIGNATURE_PREFIXED = "signature_prefixed": "has a prefix that is not `v0=`: send the signature alone";
    SIGNATURE_PREFIX_REPEATED = "signature_prefix_repeated": "has `v0=` more than once: send it once";
    SIGNATURE_PERCENT_ENCODED = "signature_percent_encoded": "is percent-encoded: decode it";
    SIGNATURE_PLUS_LOST = "signature_plus_lost": "has a blank in place of a `+`: find the program that decodes it as a form";
    SIGNATURE_BASE64URL = "signature_base64url": "is in base64url: send standard base64, or hex";
    SIGNATURE_EMPTY = "signature_empty": "is empty: find the proxy that empties it";
    SIGNATURE_LENGTH = "signature_length": "does not have 64, 44 or 43 characters: sign with HMAC-SHA256";
    SIGNATURE_CHARACTERS = "signature_characters": "has 64, 44 or 43 characters, but is neither hex nor base64";

    // After "the x-request-timestamp header".
    TIMESTAMP_MISSING = "timestamp_missing": "is missing: let the proxy forward it";
    TIMESTAMP_RENAMED = "timestamp_renamed": "is missing, but another header contains a time: keep the name";
    TIMESTAMP_REPEATED = "timestamp_repeated": "occurs more than once: find the proxy that adds one";
    TIMESTAMP_PADDED = "timestamp_padded": "has blanks around its value: remove them";
    TIMESTAMP_QUOTED = "timestamp_quoted": "has quotes around its value: remove them";
    TIMESTAMP_JOINED = "timestamp_joined": "contains several values: find the proxy that joins headers";
    TIMESTAMP_DATE = "timestamp_date": "is a date: send Unix seconds";
    TIMESTAMP_FRACTION = "timestamp_fraction": "has a fraction: send whole Unix seconds";
    TIMESTAMP_MILLISECONDS = "timestamp_milliseconds": "is in milliseconds: send Unix seconds";
    TIMESTAMP_MICROSECONDS = "timestamp_microseconds": "is in microseconds: send Unix seconds";
    TIMESTAMP_NANOSECONDS = "timestamp_nanoseconds": "is in nanoseconds: send Unix seconds";
    TIMESTAMP_EMPTY = "timestamp_empty": "is empty: find the proxy that empties it";
    TIMESTAMP_MALFORMED = "timestamp_malformed": "is not a time: find the proxy that changes it";

    // After "the body".
    BODY_EMPTY = "body_empty": "is empty: find the program that reads it before the receiver";
    BODY_NEWLINE_ADDED = "body_newline_added": "has a newline at its end that was added: keep the bytes unchanged";
    BODY_NEWLINE_LOST = "body_newline_lost": "lost the newline at its end: keep the bytes unchanged";
    BODY_BLANKS_ADDED = "body_blanks_added": "has blanks around it that were added: keep the bytes unchanged";
    BODY_BOM_ADDED = "body_bom_added": "has a byte order mark that was added: write it as bytes, not as text";
    BODY_DECOMPRESSED = "body_decompressed": "is not compressed as content-encoding says: verify it before decompression";
    BODY_CHARACTERS_LOST = "body_characters_lost": "contains U+FFFD in place of lost characters: read it as bytes, not as text";
    BODY_BASE64 = "body_base64": "is in base64, as gateways of serverless functions forward it: decode it first";
    BODY_JSON_STRING = "body_json_string": "is a JSON string that contains the signed body: verify the inner body";
    BODY_CHUNKED = "body_chunked": "still contains chunk sizes: use an HTTP server that decodes the chunked coding";
    BODY_COMPRESSED = "body_compressed": "was compressed after it was signed: verify the decompressed body";

    // After "none" and "not everything".
    NOTHING_MATCHES = "nothing_matches": "of the known causes leads to this signature: compare the secret with the \
        dashboard of the team that submitted the job, and keep the body exactly as received";
    SEARCH_CUT_SHORT = "search_cut_short": "was tried, because the body is large or deeply nested: try a short delivery";
}
