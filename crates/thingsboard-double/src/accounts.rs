//! Users and their tokens.
//!
//! The three demo users of a fresh ThingsBoard exist and no others. Signing in gives a pair of HS512 JSON Web Tokens of
//! one session: a short access token and a long refresh token that can only be exchanged for a new pair. A session can be
//! ended (signing out) or have either token declared expired (a fault), whatever the token's own time says.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};
use uuid::{Uuid, uuid};

use crate::clock::now_ms;

/// The customer of users that have none.
pub(crate) const NULL_CUSTOMER: Uuid = uuid!("13814000-1dd2-11b2-8080-808080808080");

const ISSUER: &str = "thingsboard.io";
const REFRESH_SCOPE: &str = "REFRESH_TOKEN";

/// Sessions that are remembered; the oldest is forgotten first, and its tokens count as expired.
const SESSIONS_MAX: usize = 1000;

/// What a user may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Authority {
    SysAdmin,
    TenantAdmin,
    CustomerUser,
}

impl Authority {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Authority::SysAdmin => "SYS_ADMIN",
            Authority::TenantAdmin => "TENANT_ADMIN",
            Authority::CustomerUser => "CUSTOMER_USER",
        }
    }
}

/// An account with its demo password.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) id: Uuid,
    pub(crate) created_ms: i64,
    pub(crate) email: &'static str,
    password: &'static str,
    pub(crate) authority: Authority,
    pub(crate) tenant: Uuid,
    pub(crate) customer: Uuid,
}

/// What signing in and refreshing answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TokenPair {
    token: String,
    refresh_token: String,
    /// Only two-factor authentication, which no demo user has, fills this.
    scope: Option<&'static str>,
}

/// A token that gives no access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenError {
    /// The token was not made by this server, or it is the other kind of token.
    Invalid,
    /// The token was good once.
    Expired,
}

/// Seconds that the tokens of a new pair live.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetimes {
    pub(crate) access_s: u64,
    pub(crate) refresh_s: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Claims {
    sub: String,
    user_id: Uuid,
    scopes: Vec<String>,
    session_id: Uuid,
    exp: u64,
    iss: String,
    iat: u64,
    is_public: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<Uuid>,
}

#[derive(Debug)]
struct Session {
    id: Uuid,
    access_expired: bool,
    refresh_expired: bool,
}

/// All users, and the sessions that are open.
pub(crate) struct Accounts {
    users: [User; 3],
    signing: EncodingKey,
    checking: DecodingKey,
    sessions: Mutex<VecDeque<Session>>,
}

impl Accounts {
    /// Makes the demo users of a tenant; `key` signs the tokens.
    pub(crate) fn new(tenant: Uuid, key: &[u8; 64]) -> Accounts {
        let created_ms = now_ms();
        let user = |name: &'static str, email, authority, tenant, customer| User {
            id: Uuid::new_v4(),
            created_ms,
            email,
            password: name,
            authority,
            tenant,
            customer,
        };
        Accounts {
            users: [
                user(
                    "tenant",
                    "tenant@thingsboard.org",
                    Authority::TenantAdmin,
                    tenant,
                    NULL_CUSTOMER,
                ),
                user(
                    "customer",
                    "customer@thingsboard.org",
                    Authority::CustomerUser,
                    tenant,
                    Uuid::new_v4(),
                ),
                // The system's own tenant and the absence of a customer have the same identifier.
                user(
                    "sysadmin",
                    "sysadmin@thingsboard.org",
                    Authority::SysAdmin,
                    NULL_CUSTOMER,
                    NULL_CUSTOMER,
                ),
            ],
            signing: EncodingKey::from_secret(key),
            checking: DecodingKey::from_secret(key),
            sessions: Mutex::default(),
        }
    }

    fn sessions(&self) -> MutexGuard<'_, VecDeque<Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Signs a user in; `None` for an unknown user or a wrong password, which the server does not tell apart.
    pub(crate) fn sign_in(
        &self,
        email: &str,
        password: &str,
        lifetimes: Lifetimes,
    ) -> Option<TokenPair> {
        let user = self
            .users
            .iter()
            .find(|user| user.email == email && user.password == password)?;
        self.open_session(user, lifetimes)
    }

    /// Exchanges a refresh token for a new pair; the old pair stays good for its own time.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub(crate) fn refresh(
        &self,
        refresh_token: &str,
        lifetimes: Lifetimes,
    ) -> Result<TokenPair, TokenError> {
        let claims = self.check(refresh_token)?;
        if claims.scopes != [REFRESH_SCOPE] {
            return Err(TokenError::Invalid);
        }
        if self.session_state(claims.session_id, |session| session.refresh_expired) {
            return Err(TokenError::Expired);
        }
        let user = self
            .users
            .iter()
            .find(|user| user.id == claims.user_id)
            .ok_or(TokenError::Invalid)?;
        self.open_session(user, lifetimes)
            .ok_or(TokenError::Invalid)
    }

    /// Finds the user and session of an access token.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub(crate) fn authenticate(&self, access_token: &str) -> Result<(&User, Uuid), TokenError> {
        let claims = self.check(access_token)?;
        let user = self
            .users
            .iter()
            .find(|user| user.id == claims.user_id)
            .ok_or(TokenError::Invalid)?;
        if claims.scopes != [user.authority.name()] {
            return Err(TokenError::Invalid);
        }
        if self.session_state(claims.session_id, |session| session.access_expired) {
            return Err(TokenError::Expired);
        }
        Ok((user, claims.session_id))
    }

    /// Ends a session: both of its tokens count as expired.
    pub(crate) fn sign_out(&self, session_id: Uuid) {
        self.sessions().retain(|session| session.id != session_id);
    }

    /// Lets all access tokens count as expired that were issued so far.
    pub(crate) fn expire_access_tokens(&self) {
        self.sessions()
            .iter_mut()
            .for_each(|session| session.access_expired = true);
    }

    /// Lets all refresh tokens count as expired that were issued so far.
    pub(crate) fn expire_refresh_tokens(&self) {
        self.sessions()
            .iter_mut()
            .for_each(|session| session.refresh_expired = true);
    }

    /// A session that is not known any more counts as expired.
    fn session_state(&self, id: Uuid, expired: impl Fn(&Session) -> bool) -> bool {
        self.sessions()
            .iter()
            .find(|session| session.id == id)
            .is_none_or(expired)
    }

    fn check(&self, token: &str) -> Result<Claims, TokenError> {
        let mut validation = Validation::new(Algorithm::HS512);
        validation.leeway = 0;
        validation.set_issuer(&[ISSUER]);
        match decode::<Claims>(token, &self.checking, &validation) {
            Ok(token) => Ok(token.claims),
            Err(error) if matches!(error.kind(), ErrorKind::ExpiredSignature) => {
                Err(TokenError::Expired)
            }
            Err(_) => Err(TokenError::Invalid),
        }
    }

    fn open_session(&self, user: &User, lifetimes: Lifetimes) -> Option<TokenPair> {
        let session_id = Uuid::new_v4();
        let iat = now_ms().unsigned_abs() / 1000;
        let refresh = Claims {
            sub: user.email.to_owned(),
            user_id: user.id,
            scopes: vec![REFRESH_SCOPE.to_owned()],
            session_id,
            exp: iat.saturating_add(lifetimes.refresh_s),
            iss: ISSUER.to_owned(),
            iat,
            is_public: false,
            first_name: None,
            last_name: None,
            enabled: None,
            tenant_id: None,
            customer_id: None,
            jti: Some(Uuid::new_v4()),
        };
        let refresh_token = encode(&Header::new(Algorithm::HS512), &refresh, &self.signing).ok()?;
        let access = Claims {
            scopes: vec![user.authority.name().to_owned()],
            exp: iat.saturating_add(lifetimes.access_s),
            first_name: Some(user.password.to_owned()),
            last_name: Some("Demo".to_owned()),
            enabled: Some(true),
            tenant_id: Some(user.tenant),
            customer_id: Some(user.customer),
            jti: None,
            ..refresh
        };
        let token = encode(&Header::new(Algorithm::HS512), &access, &self.signing).ok()?;
        let mut sessions = self.sessions();
        if sessions.len() == SESSIONS_MAX {
            sessions.pop_front();
        }
        sessions.push_back(Session {
            id: session_id,
            access_expired: false,
            refresh_expired: false,
        });
        Some(TokenPair {
            token,
            refresh_token,
            scope: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIMES: Lifetimes = Lifetimes {
        access_s: 9000,
        refresh_s: 604_800,
    };

    fn accounts() -> Accounts {
        Accounts::new(Uuid::new_v4(), &[7; 64])
    }

    fn pair(accounts: &Accounts, lifetimes: Lifetimes) -> TokenPair {
        accounts
            .sign_in("tenant@thingsboard.org", "tenant", lifetimes)
            .expect("the demo user signs in")
    }

    #[test]
    fn wrong_passwords_and_unknown_users_get_no_token() {
        assert!(
            accounts()
                .sign_in("tenant@thingsboard.org", "customer", LIFETIMES)
                .is_none()
        );
        assert!(
            accounts()
                .sign_in("nobody@thingsboard.org", "tenant", LIFETIMES)
                .is_none()
        );
    }

    #[test]
    fn each_token_serves_its_own_purpose_only() {
        let accounts = accounts();
        let pair = pair(&accounts, LIFETIMES);
        let (user, _) = accounts
            .authenticate(&pair.token)
            .expect("an access token gives access");
        assert_eq!(user.authority, Authority::TenantAdmin);
        assert_eq!(
            accounts.authenticate(&pair.refresh_token).err(),
            Some(TokenError::Invalid)
        );
        assert!(accounts.refresh(&pair.refresh_token, LIFETIMES).is_ok());
        assert_eq!(
            accounts.refresh(&pair.token, LIFETIMES).err(),
            Some(TokenError::Invalid)
        );
    }

    #[test]
    fn tokens_of_another_key_are_invalid() {
        let other = Accounts::new(Uuid::new_v4(), &[8; 64]);
        assert_eq!(
            accounts()
                .authenticate(&pair(&other, LIFETIMES).token)
                .err(),
            Some(TokenError::Invalid)
        );
        assert_eq!(
            accounts().authenticate("a.b.c").err(),
            Some(TokenError::Invalid)
        );
    }

    #[test]
    fn tokens_expire_by_time_by_sign_out_and_by_fault() {
        let accounts = accounts();
        // `exp` in the same second counts as over only in the next one, so a pair with no life at all is made older.
        let short = pair(
            &accounts,
            Lifetimes {
                access_s: 0,
                refresh_s: 60,
            },
        );
        std::thread::sleep(std::time::Duration::from_millis(1100));
        assert_eq!(
            accounts.authenticate(&short.token).err(),
            Some(TokenError::Expired)
        );
        let renewed = accounts
            .refresh(&short.refresh_token, LIFETIMES)
            .expect("the refresh token still lives");
        assert!(accounts.authenticate(&renewed.token).is_ok());

        accounts.expire_access_tokens();
        assert_eq!(
            accounts.authenticate(&renewed.token).err(),
            Some(TokenError::Expired)
        );
        let again = accounts
            .refresh(&renewed.refresh_token, LIFETIMES)
            .expect("only access tokens expired");
        accounts.expire_refresh_tokens();
        assert_eq!(
            accounts.refresh(&again.refresh_token, LIFETIMES).err(),
            Some(TokenError::Expired)
        );

        let (_, session) = accounts
            .authenticate(&again.token)
            .expect("the access token was spared");
        accounts.sign_out(session);
        assert_eq!(
            accounts.authenticate(&again.token).err(),
            Some(TokenError::Expired)
        );
    }
}
