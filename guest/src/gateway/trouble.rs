//! Why a request has no answer.

use super::Gateway;
use crate::bindings::FailureKind;
use crate::failure::Problem;

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The sandbox did not let it out.
    Denied,
    /// The host name has no address.
    Unresolved,
    /// Nothing accepts connections there.
    Unreachable,
    /// No TLS connection could be made.
    Insecure,
    /// Something did not happen in time, once there may have been a connection.
    Silent,
    /// The connection broke before any answer, or within it.
    Broken,
    /// What came back is not HTTP.
    Garbled,
    /// The answer broke off, and why is not known.
    Cut,
    /// The answer is larger than it may be.
    TooLarge,
    /// The request could not be made, or what came back is not what this component knows.
    Malformed,
}

impl Trouble {
    /// Whether it is the connection's, so that another one may do better: what is not HTTP may be left of the answer
    /// before.
    pub(super) fn is_of_the_connection(self) -> bool {
        matches!(self, Self::Broken | Self::Garbled)
    }

    /// Whether the gateway may have received the request, so that a write may have taken effect.
    pub(super) fn leaves_doubt(self) -> bool {
        match self {
            Self::Denied | Self::Unresolved | Self::Unreachable | Self::Insecure => false,
            Self::Silent | Self::Broken | Self::Garbled | Self::Cut | Self::TooLarge | Self::Malformed => true,
        }
    }

    pub(super) fn problem(self, gateway: &Gateway) -> Problem {
        let (kind, happened, next) = self.words();
        Problem::new(kind, happened.replace("{gateway}", &format!("the gateway at {}", gateway.base)), next)
    }

    fn words(self) -> (FailureKind, &'static str, &'static str) {
        use FailureKind::{Denied, GatewayError, Unavailable};
        match self {
            Self::Denied => (
                Denied,
                "the sandbox denied the request to {gateway}",
                "Only its operator can change what it may reach, by its grants",
            ),
            Self::Unresolved => {
                (Unavailable, "the host name of {gateway} has no address", "Check the host name in AIGATEWAY_URL")
            }
            Self::Unreachable => (
                Unavailable,
                "{gateway} cannot be reached (no connection)",
                "Start the gateway, or set AIGATEWAY_URL to where it runs",
            ),
            Self::Insecure => (
                Unavailable,
                "{gateway} cannot be reached securely (TLS failed)",
                "Check the gateway's certificate, and whether AIGATEWAY_URL should start with http or https",
            ),
            Self::Silent => {
                (Unavailable, "{gateway} did not answer in time", "Check that the gateway is well, and try again")
            }
            Self::Broken => (
                Unavailable,
                "the connection to {gateway} broke before its answer was complete",
                "Check that the gateway is well, and try again",
            ),
            Self::Garbled => (
                GatewayError,
                "{gateway} answered with something that is not HTTP",
                "Check that AIGATEWAY_URL is the address of an AIGateway, and whether it should start with http or https",
            ),
            Self::Cut => (
                Unavailable,
                "the answer of {gateway} broke off or did not come in time",
                "Check that the gateway is well, and try again",
            ),
            Self::TooLarge => (
                GatewayError,
                "{gateway} answered with more than the sandbox lets through",
                "Check that AIGATEWAY_URL is the address of an AIGateway",
            ),
            Self::Malformed => (
                GatewayError,
                "{gateway} answered with something that is not its protocol",
                "Check that AIGATEWAY_URL is the address of an AIGateway",
            ),
        }
    }
}

/// The bindings of both crates have their own type for the same WASI variant.
macro_rules! impl_from_error_code {
    ($($code:ty),*) => {$(
        impl From<$code> for Trouble {
            fn from(code: $code) -> Self {
                type Code = $code;
                match code {
                    Code::HttpRequestDenied | Code::DestinationIpProhibited => Self::Denied,
                    Code::DnsTimeout | Code::DnsError(_) | Code::DestinationNotFound => Self::Unresolved,
                    Code::ConnectionRefused
                    | Code::ConnectionTimeout
                    | Code::ConnectionLimitReached
                    | Code::DestinationUnavailable
                    | Code::DestinationIpUnroutable => Self::Unreachable,
                    Code::TlsProtocolError | Code::TlsCertificateError | Code::TlsAlertReceived(_) => Self::Insecure,
                    Code::ConnectionReadTimeout | Code::ConnectionWriteTimeout | Code::HttpResponseTimeout => Self::Silent,
                    Code::ConnectionTerminated | Code::HttpResponseIncomplete => Self::Broken,
                    Code::HttpProtocolError => Self::Garbled,
                    Code::HttpResponseBodySize(_)
                    | Code::HttpResponseHeaderSectionSize(_)
                    | Code::HttpResponseHeaderSize(_)
                    | Code::HttpResponseTrailerSectionSize(_)
                    | Code::HttpResponseTrailerSize(_) => Self::TooLarge,
                    Code::InternalError(_) => Self::Cut,
                    _ => Self::Malformed,
                }
            }
        }
    )*};
}

impl_from_error_code!(waki::ErrorCode, wasi::http::types::ErrorCode);
