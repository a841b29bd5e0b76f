//! Decides who may see the page, and which requests come from the page itself.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use argon2::{Argon2, PasswordVerifier, password_hash::phc::PasswordHash};
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use hmac::{Hmac, KeyInit, Mac};
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{AUTHORIZATION, COOKIE, SET_COOKIE},
};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::{sync::Semaphore, task, time};
use zeroize::Zeroizing;

use super::{
    PageSettings, PageState,
    error::Refused,
    origin::{is_embedded_elsewhere, is_from_https, is_local, is_same_origin},
    token::may_match,
};

/// Decides about requests.
pub(super) struct Access {
    token_hash: Option<String>,
    proxy_header: Option<http::HeaderName>,
    cookie: String,
    /// Signs the tokens of forms.
    key: Zeroizing<[u8; 32]>,
    sessions: Mutex<HashMap<[u8; 32], Instant>>,
    /// A digest of the token that was accepted last, because argon2 is slow.
    accepted: Mutex<Option<[u8; 32]>>,
    /// Limits argon2, which needs much memory, to one token at a time.
    checks: Semaphore,
}

/// The user of a request, and the CSRF token of the page's forms.
#[derive(Clone, Debug)]
pub(super) struct Visitor {
    pub(super) who: String,
    pub(super) csrf_token: String,
    /// Whether the request carries its token in a header that no browser adds by itself.
    pub(super) is_program: bool,
    /// Whether there is a session to end.
    pub(super) has_session: bool,
}

impl Access {
    pub(super) fn new(settings: &PageSettings, port: u16) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *key).expect("the system has random numbers");
        Self {
            token_hash: settings.token_hash.clone(),
            proxy_header: settings.proxy_header.clone(),
            // Browsers send a cookie to all ports of a host.
            cookie: format!("pyannote_page_{port}"),
            key,
            sessions: Mutex::default(),
            accepted: Mutex::default(),
            checks: Semaphore::new(1),
        }
    }

    /// Starts a session, if the token is right. Returns the cookie.
    pub(super) async fn log_in(&self, token: &str, headers: &HeaderMap) -> Option<HeaderValue> {
        if !self.is_token(token).await {
            return None;
        }
        let session = random();
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        sessions.retain(|_, expires| *expires > now);
        if sessions.len() >= MOST_SESSIONS {
            let oldest = sessions.iter().min_by_key(|(_, expires)| **expires);
            if let Some(oldest) = oldest.map(|(id, _)| *id) {
                sessions.remove(&oldest);
            }
        }
        sessions.insert(digest(session.as_bytes()), now + SESSION);
        Some(self.set_cookie(headers, &session, ""))
    }

    /// Ends the session of a request. Returns the cookie that removes the browser's.
    pub(super) fn log_out(&self, headers: &HeaderMap) -> HeaderValue {
        if let Some(session) = self.cookie_of(headers) {
            let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
            sessions.remove(&digest(session.as_bytes()));
        }
        self.set_cookie(headers, "", "; Max-Age=0")
    }

    /// Returns whether a form's token is that of the visitor.
    pub(super) fn is_csrf_token(visitor: &Visitor, token: &str) -> bool {
        token.as_bytes().ct_eq(visitor.csrf_token.as_bytes()).into()
    }

    /// Returns the user of a request, and the cookie to set, if there is one.
    async fn visitor(
        &self,
        headers: &HeaderMap,
    ) -> Result<(Visitor, Option<HeaderValue>), Refused> {
        if self.token_hash.is_some() {
            if let Some(token) = bearer(headers) {
                return match self.is_token(token).await {
                    true => Ok((self.visitor_of("token", "", true, false), None)),
                    false => Err(Refused::Unauthorized),
                };
            }
            let session = self
                .cookie_of(headers)
                .filter(|session| self.is_session(session));
            if let Some(session) = session {
                return Ok((self.visitor_of("token", session, false, true), None));
            }
        }
        if let Some(name) = &self.proxy_header {
            let user = headers.get(name).and_then(|user| user.to_str().ok());
            let user = user.map(str::trim).filter(|user| !user.is_empty());
            let user = user.ok_or(Refused::NoUser)?;
            return Ok(self.anonymous(user, headers));
        }
        match self.token_hash {
            Some(_) => Err(Refused::Unauthorized),
            None if is_local(headers) => Ok(self.anonymous("local", headers)),
            None => Err(Refused::ForeignHost),
        }
    }

    /// Returns a visitor without a session, whose cookie only ties forms to the browser.
    fn anonymous(&self, who: &str, headers: &HeaderMap) -> (Visitor, Option<HeaderValue>) {
        match self.cookie_of(headers) {
            Some(known) => (self.visitor_of(who, known, false, false), None),
            None => {
                let new = random();
                let cookie = self.set_cookie(headers, &new, "");
                (self.visitor_of(who, &new, false, false), Some(cookie))
            }
        }
    }

    fn visitor_of(&self, who: &str, cookie: &str, is_program: bool, has_session: bool) -> Visitor {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.key).expect("any key will do");
        mac.update(cookie.as_bytes());
        let csrf_token = base16ct::lower::encode_string(&mac.finalize().into_bytes());
        Visitor {
            who: who.chars().take(100).collect(),
            csrf_token,
            is_program,
            has_session,
        }
    }

    fn is_session(&self, session: &str) -> bool {
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let expires = sessions.get(&digest(session.as_bytes()));
        expires.is_some_and(|expires| *expires > Instant::now())
    }

    async fn is_token(&self, token: &str) -> bool {
        let Some(hash) = self.token_hash.clone() else {
            return false;
        };
        if token.len() > LONGEST_TOKEN {
            return false;
        }
        let known = digest(token.as_bytes());
        let accepted = *self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        if accepted.is_some_and(|accepted| accepted.ct_eq(&known).into()) {
            return true;
        }
        let may_match = PasswordHash::new(&hash).is_ok_and(|hash| may_match(token, &hash));
        let is_right = may_match && self.verify(token, hash).await;
        if is_right {
            *self.accepted.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
        } else {
            tracing::warn!(target: "pyannote_receiver::audit", "a wrong token for the page was refused");
            // The pause holds no permit, so other checks continue.
            time::sleep(PENALTY).await;
        }
        is_right
    }

    async fn verify(&self, token: &str, hash: String) -> bool {
        let Ok(_permit) = self.checks.acquire().await else {
            return false;
        };
        let token = Zeroizing::new(token.to_owned());
        let check = move || {
            let parsed = PasswordHash::new(&hash);
            let verify = |hash| Argon2::default().verify_password(token.as_bytes(), &hash);
            parsed.is_ok_and(|hash| verify(hash).is_ok())
        };
        task::spawn_blocking(check).await.unwrap_or(false)
    }

    fn cookie_of<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let cookies = headers.get_all(COOKIE).iter();
        let cookies = cookies.filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|value| value.split(';'));
        pairs.find_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            let is_ours = name == self.cookie && value.len() == 64;
            (is_ours && value.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(value)
        })
    }

    /// Returns a cookie. The cookie is `Secure` if the browser sent this request over HTTPS.
    fn set_cookie(&self, headers: &HeaderMap, value: &str, end: &str) -> HeaderValue {
        let name = &self.cookie;
        // With a header for the user, only a trusted proxy reaches the page, so its other headers are trusted, too.
        let is_forwarded = self.proxy_header.is_some()
            && headers
                .get("x-forwarded-proto")
                .is_some_and(|it| it == "https");
        let secure = match is_forwarded || is_from_https(headers) {
            true => "; Secure",
            false => "",
        };
        let cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{end}");
        HeaderValue::from_str(&cookie).expect("the name and the value are ASCII")
    }
}

/// Lets requests through that may see the page, and adds the [`Visitor`].
pub(super) async fn check(
    State(state): State<Arc<PageState>>,
    mut request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    let is_api = path.starts_with("/api/");
    if path.starts_with("/page/assets/") {
        return next.run(request).await;
    }
    let is_login = path == "/page/login";
    let is_change = request.method() != Method::GET && request.method() != Method::HEAD;
    // A read changes nothing, but reading large outputs costs memory and time.
    let headers = request.headers();
    if is_change && !is_same_origin(headers) || is_embedded_elsewhere(headers) {
        return Refused::OtherOrigin.into_response_for(is_api);
    }
    match state.access.visitor(request.headers()).await {
        Ok((visitor, cookie)) => {
            request.extensions_mut().insert(visitor);
            let mut response = next.run(request).await;
            if let Some(cookie) = cookie {
                response.headers_mut().append(SET_COOKIE, cookie);
            }
            response
        }
        Err(Refused::Unauthorized) if is_login => next.run(request).await,
        Err(Refused::Unauthorized) if !is_api && !is_change => {
            Redirect::to("/page/login").into_response()
        }
        Err(refused) => refused.into_response_for(is_api),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn random() -> String {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the system has random numbers");
    base16ct::lower::encode_string(&bytes)
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

impl Refused {
    const fn status(&self) -> StatusCode {
        match self {
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::NoUser | Self::ForeignHost | Self::OtherOrigin | Self::NoCsrfToken => {
                StatusCode::FORBIDDEN
            }
        }
    }

    pub(super) fn into_response_for(self, is_api: bool) -> Response {
        super::error::respond(self.status(), &self.to_string(), is_api)
    }
}

const SESSION: Duration = Duration::from_secs(12 * 60 * 60);
const MOST_SESSIONS: usize = 256;
const LONGEST_TOKEN: usize = 1_024;

/// How long the sender of a wrong token waits for the refusal.
const PENALTY: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use argon2::{Algorithm, Params, PasswordHasher, Version};

    use super::*;

    #[tokio::test]
    async fn sixty_wrong_tokens_do_not_delay_a_right_one() {
        let quick = Params::new(64, 1, 1, None).unwrap();
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, quick);
        let hash = argon2
            .hash_password_with_salt(b"right", b"sixteen bytes...")
            .unwrap();
        let settings = PageSettings::new()
            .with_token_hash(hash.to_string())
            .unwrap();
        let access = Arc::new(Access::new(&settings, 80));
        let wrong: Vec<_> = (0..60)
            .map(|number| {
                let access = Arc::clone(&access);
                tokio::spawn(async move { access.is_token(&format!("wrong {number}")).await })
            })
            .collect();
        task::yield_now().await;
        let begun = Instant::now();
        assert!(access.is_token("right").await);
        assert!(begun.elapsed() < PENALTY * 6, "{:?}", begun.elapsed());
        for wrong in wrong {
            assert!(!wrong.await.unwrap());
        }
    }
}
