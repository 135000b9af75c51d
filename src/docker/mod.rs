//! One engine on bollard for every Docker endpoint; only the transport differs: the host's unix socket, or
//! `docker system dial-stdio` over any [`Shell`].

pub mod container;

pub use container::Container;

/// A Docker engine somewhere. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    docker: bollard::Docker,
    place: String,
}

impl Engine {
    /// What bollard offers, for calls that need no wrapper.
    pub fn docker(&self) -> &bollard::Docker {
        &self.docker
    }

    /// Where it is, for messages.
    pub fn place(&self) -> &str {
        &self.place
    }
}
