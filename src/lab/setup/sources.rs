//! What images are made of: the files of `vagrant/images`, inside this program so that it needs no clone beside it, and
//! the two that are this host's (its package mirror, its certificates).

use std::collections::BTreeMap;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::lab::catalogue::Catalogue;
use crate::lab::upload::hex;

macro_rules! files {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../../vagrant/images/", $path)))),*]
    };
}

/// Every file of `vagrant/images`; a test compares the list with the folder.
const FILES: &[(&str, &str)] = files![
    "base/Dockerfile",
    "base/add-host-ca",
    "base/apt.conf",
    "base/dpkg.conf",
    "debian/Dockerfile",
    "httpd/Dockerfile",
    "httpd/apachectl",
    "httpd/httpd",
    "httpd/httpd-foreground",
    "httpd/httpd-ssl.conf",
    "httpd/httpd-vhosts.conf",
    "httpd/httpd.conf",
    "httpd/proxy-html.conf",
    "lab/Dockerfile",
    "lab/ansible/action.py",
    "lab/ansible/callback/imparcial.py",
    "lab/ansible/names.json",
    "lab/ansible/standin.py",
    "lab/daemon.json",
    "lab/lab-cgroups",
    "lab/lab-disks",
    "lab/lab-empty",
    "lab/lab-firewall",
    "lab/lab-init",
    "lab/lab-layers",
    "lab/lab-store",
    "lab/node/docker-options",
    "lab/vagrant/Vagrantfile",
    "lab/vagrant/lenient.rb",
    "machine/Dockerfile",
    "machine/containers.slice",
    "machine/device-timeout.conf",
    "machine/disks-by-hand",
    "machine/disks-in-order",
    "machine/interfaces",
    "machine/layers.mount",
    "machine/swapfile.service",
    "machine/swapfile.swap",
    "machine/usr-local-share-imparcial.mount",
    "mysql/Dockerfile",
    "mysql/docker-entrypoint.sh",
    "mysql/healthcheck.sh",
    "mysql/make-template",
    "mysql/my.cnf",
    "nginx/20-envsubst-on-templates.sh",
    "nginx/Dockerfile",
    "nginx/default.conf",
    "nginx/docker-entrypoint.sh",
    "nginx/nginx",
    "nginx/nginx.conf",
    "node/Dockerfile",
    "node/ansible-playbook",
    "node/docker.conf",
    "node/firewalld.service",
    "node/node-keys.service",
    "node/node-start",
    "node/node-start.service",
    "node/vagrant.pub",
    "node/yum",
    "php-cli/Dockerfile",
    "php-cli/docker-php-entrypoint",
    "php-fpm/Dockerfile",
    "php-fpm/docker-php-entrypoint",
    "php-fpm/docker.conf",
    "php-fpm/php-fpm",
    "php-fpm/php-fpm.conf",
    "php-fpm/www.conf",
    "php-fpm/zz-docker.conf",
    "php/Dockerfile",
    "php/apache2-foreground",
    "php/docker-php-entrypoint",
    "php/docker-php-ext-configure",
    "php/docker-php-ext-enable",
    "php/docker-php-ext-install",
    "php/docker-php.conf",
    "php/pecl",
    "postgres/Dockerfile",
    "postgres/docker-ensure-initdb.sh",
    "postgres/docker-entrypoint.sh",
    "python-slim/Dockerfile",
    "python/Dockerfile",
    "redis/Dockerfile",
    "redis/docker-entrypoint.sh",
    "redis/redis-sentinel",
    "redis/redis-server",
    "registry/Dockerfile",
    "registry/config.yml",
    "registry/read-only.yml",
    "registry/serve",
    "vms/Dockerfile",
    "vms/lab-hypervisor",
    "vms/lab-kernel",
    "vms/lab-snapshot",
    "vms/lab-tools",
    "vms/make-disk",
    "vms/metadata.json",
    "vms/newer-qemu",
    "vms/pool.xml",
];

/// The files of every image, by image and path.
pub(super) struct Sources {
    images: BTreeMap<String, BTreeMap<String, String>>,
}

impl Sources {
    pub(super) fn embedded(sources_list: &str, certificates: &str) -> Self {
        let mut images: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        let own = [("base/sources.list", sources_list), ("base/host-ca.crt", certificates)];
        for (path, text) in FILES.iter().chain(&own) {
            if let Some((image, file)) = path.split_once('/') {
                images.entry(image.to_owned()).or_default().insert(file.to_owned(), (*text).to_owned());
            }
        }
        Self { images }
    }

    /// The image that another stands on; none for the base.
    pub(super) fn parent(name: &str) -> Option<&'static str> {
        match name {
            "base" => return None,
            "machine" => return Some("node"),
            "vms" => return Some("lab"),
            _ => {}
        }
        let entry = Catalogue::shipped().stand_ins.iter().find(|entry| entry.name == name);
        Some(entry.map_or("base", |entry| entry.base.as_str()))
    }

    /// An image of which another takes files.
    fn source(name: &str) -> Option<&'static str> {
        (name == "vms").then_some("machine")
    }

    /// Of all that an image is made of, down to the base and this host's certificates.
    pub(super) fn hash(&self, name: &str) -> String {
        let mut hasher = Sha256::new();
        for other in [Self::parent(name), Self::source(name)].into_iter().flatten() {
            hasher.update(self.hash(other));
        }
        for (path, text) in self.images.get(name).into_iter().flatten() {
            // The lengths keep two files from being taken for one.
            hasher.update(format!("{path}\0{}\0", text.len()));
            hasher.update(text);
        }
        hex(&hasher.finalize())[..24].to_owned()
    }

    /// The build context, as the engine wants it.
    pub(super) fn context(&self, name: &str) -> std::io::Result<Bytes> {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, text) in self.images.get(name).into_iter().flatten() {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            // A fixed time: the engine's cache must not see a new file in each run.
            header.set_mtime(0);
            header.set_mode(if text.starts_with("#!") { 0o755 } else { 0o644 });
            tar.append_data(&mut header, path, text.as_bytes())?;
        }
        Ok(tar.into_inner()?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_folder_is_embedded() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/vagrant/images");
        let mut there: Vec<String> = walkdir::WalkDir::new(root)
            .into_iter()
            .filter_map(Result::ok)
            .filter(|entry| entry.file_type().is_file())
            .map(|entry| entry.path().strip_prefix(root).expect("below it").display().to_string())
            .collect();
        there.sort();
        let embedded: Vec<&str> = FILES.iter().map(|(path, _)| *path).collect();
        assert_eq!(embedded, there);
    }

    #[test]
    fn every_image_of_the_catalogue_has_sources() {
        let sources = Sources::embedded("", "");
        for entry in &Catalogue::shipped().stand_ins {
            let files = sources.images.get(&entry.name).expect("a folder of its name");
            let label =
                format!("imparcial.stand-in=\"{}\" imparcial.stand-in.version=\"{}\"", entry.name, entry.shown());
            assert!(files["Dockerfile"].contains(&label), "{}: {label}", entry.name);
            assert!(files["Dockerfile"].contains(&format!("ARG BASE=imparcial/{}\n", entry.base)), "{}", entry.name);
        }
    }

    #[test]
    fn a_hash_follows_the_base_and_the_certificates() {
        let (one, other) = (Sources::embedded("a", "x"), Sources::embedded("a", "y"));
        for name in ["base", "python", "lab"] {
            assert_eq!(one.hash(name), Sources::embedded("a", "x").hash(name));
            assert_ne!(one.hash(name), other.hash(name), "{name}");
        }
        assert_ne!(one.hash("python"), one.hash("python-slim"));
        let mut another = Sources::embedded("a", "x");
        another.images.get_mut("node").expect("its files").insert("new".into(), "x".into());
        assert_ne!(one.hash("vms"), another.hash("vms"), "its disk holds what a node has");
        assert_eq!(one.hash("lab"), another.hash("lab"));
    }
}
