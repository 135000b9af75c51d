//! Where a container's folder really lies: in its own layer, in memory, in a folder of its machine, on a brick, or on the
//! distributed volume. Pure: both tables of mounts are the kernel's, read from outside the machine.

use super::mounts::{below, covering, volume_of};
use crate::probe::machines::kernel::{Mount, plain};
use crate::text::Text;

/// Where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lies {
    /// Gone with the container.
    InContainer,
    /// Gone with the container, and never on any disk.
    InMemory,
    /// On a volume, in this folder of it.
    OnVolume { volume: String, folder: String },
    /// In a brick's own folder, past the volume that it belongs to.
    InBrick { path: String },
    /// In a folder of the machine.
    Local { path: String, at: String, filesystem: String },
    /// On something else that is mounted: a network file system of another kind.
    Elsewhere { source: String, filesystem: String },
}

/// `container` and `machine`: their tables of mounts; `bricks`: the folders of the machine's bricks.
pub(super) fn lies(folder: &str, container: &[Mount], machine: &[Mount], bricks: &[String]) -> Option<Lies> {
    let folder = plain(folder);
    let mount = covering(container, &folder)?;
    if matches!(mount.kind.as_str(), "tmpfs" | "ramfs") {
        return Some(Lies::InMemory);
    }
    let rest = folder.strip_prefix(mount.at.trim_end_matches('/')).unwrap_or_default();
    if let Some(of) = volume_of(mount) {
        return Some(Lies::OnVolume { volume: of.volume, folder: plain(&format!("{}/{rest}", of.folder)) });
    }
    // A layer of the machine's engine: nothing of the machine's is mounted over it.
    if mount.at == "/" {
        return Some(Lies::InContainer);
    }
    let within = plain(&format!("{}/{rest}", mount.root));
    // The same file system as the machine has it, at the place that shows that folder.
    let shows = |own: &&Mount| own.number == mount.number && below(&within, &own.root).is_some();
    let Some(own) = machine.iter().filter(shows).max_by_key(|own| own.root.len()) else {
        return Some(Lies::Elsewhere { source: mount.source.clone(), filesystem: mount.kind.clone() });
    };
    let path = plain(&format!("{}/{}", own.at, below(&within, &own.root).unwrap_or_default()));
    if bricks.iter().any(|brick| below(&path, &plain(brick)).is_some()) {
        return Some(Lies::InBrick { path });
    }
    Some(Lies::Local { path, at: own.at.clone(), filesystem: own.kind.clone() })
}

/// What an image declares to be a volume, and nobody mounts anything at, is given one by the engine.
fn nameless(path: &str) -> bool {
    let named = path.strip_suffix("/_data").and_then(|path| path.rsplit_once("/volumes/"));
    named.is_some_and(|(_, name)| name.len() == 64 && name.chars().all(|c| c.is_ascii_hexdigit()))
}

impl Lies {
    pub(super) fn path(&self) -> Option<&str> {
        match self {
            Self::InBrick { path } | Self::Local { path, .. } => Some(path),
            Self::OnVolume { folder, .. } => Some(folder),
            Self::InContainer | Self::InMemory | Self::Elsewhere { .. } => None,
        }
    }

    /// Where the data is, as a sentence that stands where it is on no volume.
    pub(super) fn say(&self, machine: &str) -> Text {
        let clean = |text: &str| crate::sanitize::line(text, 160);
        match self {
            Self::InContainer => Text::new(
                "the data is in the container's own layer and goes with it: nothing is mounted at its folder",
                "los datos están en la capa del propio contenedor y se van con él: no hay nada montado en su carpeta",
            ),
            Self::InMemory => Text::new(
                "the data is in memory (tmpfs) and is gone when the container stops",
                "los datos están en memoria (tmpfs) y desaparecen cuando el contenedor se detiene",
            ),
            Self::OnVolume { volume, folder } => {
                let (volume, folder) = (clean(volume), clean(folder));
                Text::new(
                    format!("the data is in {folder} of the volume {volume}"),
                    format!("los datos están en {folder} del volumen {volume}"),
                )
            }
            Self::InBrick { path } => {
                let path = clean(path);
                Text::new(
                    format!(
                        "the data is written into {path} of {machine}, a brick's own folder, behind the volume's back: nothing copies it to other machines"
                    ),
                    format!(
                        "los datos se escriben en {path} de {machine}, la carpeta de un brick, a espaldas del volumen: nada los copia a otras máquinas"
                    ),
                )
            }
            Self::Local { path, .. } if nameless(path) => {
                let path = clean(path);
                Text::new(
                    format!(
                        "nothing is mounted at the data's folder, so that the container engine of {machine} keeps it in a volume without a name, {path}: a new container does not find it"
                    ),
                    format!(
                        "no hay nada montado en la carpeta de los datos, así que el motor de contenedores de {machine} los guarda en un volumen sin nombre, {path}: un contenedor nuevo no los encuentra"
                    ),
                )
            }
            Self::Local { path, at, filesystem } => {
                let (path, at, filesystem) = (clean(path), clean(at), clean(filesystem));
                Text::new(
                    format!(
                        "the data is in {path} of {machine}, a folder of that machine alone: it lies on what is mounted at {at} ({filesystem}), which is no distributed volume"
                    ),
                    format!(
                        "los datos están en {path} de {machine}, una carpeta solo de esa máquina: está en lo que hay montado en {at} ({filesystem}), que no es un volumen distribuido"
                    ),
                )
            }
            Self::Elsewhere { source, filesystem } => {
                let (source, filesystem) = (clean(source), clean(filesystem));
                Text::new(
                    format!("the data is on {source} ({filesystem}), which is no volume of GlusterFS"),
                    format!("los datos están en {source} ({filesystem}), que no es un volumen de GlusterFS"),
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::machines::kernel::mounts;

    /// Of a container node: its root, the engine's folder, the brick's disk, the volume.
    const MACHINE: &str = "586 528 0:154 / / rw,relatime - overlay overlay rw\n\
        610 586 254:0 /var/lib/docker/volumes/a8fb/_data /var/lib/docker rw,relatime - ext4 /dev/vda rw\n\
        320 586 7:1 / /gluster/brick rw,relatime - xfs /dev/sdb rw\n\
        611 586 0:174 / /mnt/volumen rw,relatime - fuse.glusterfs localhost:/volumen rw,user_id=0\n";
    const ROOT: &str = "700 600 0:200 / / rw,relatime - overlay overlay rw,lowerdir=/l\n";

    fn of(line: &str) -> Lies {
        let container = mounts(&format!("{ROOT}{line}"));
        let bricks = ["/gluster/brick/volumen".to_owned()];
        lies("/var/lib/mysql/", &container, &mounts(MACHINE), &bricks).unwrap()
    }

    fn local(path: &str, at: &str, filesystem: &str) -> Lies {
        Lies::Local { path: path.into(), at: at.into(), filesystem: filesystem.into() }
    }

    #[test]
    fn on_the_volume_by_a_bind_a_named_volume_or_a_folder_above() {
        let on = |folder: &str| Lies::OnVolume { volume: "volumen".into(), folder: folder.into() };
        // A bind, and a volume of the local driver bound to the mount, look alike to the kernel.
        let bind = "701 700 0:174 /mysql /var/lib/mysql rw,relatime - fuse.glusterfs localhost:/volumen rw\n";
        assert_eq!(of(bind), on("/mysql"));
        assert_eq!(of("701 700 0:174 / /var/lib rw,relatime - fuse.glusterfs localhost:/volumen rw\n"), on("/mysql"));
        // Where only a folder of the volume is mounted on the machine.
        let part = "701 700 0:180 /mysql /var/lib/mysql rw,relatime - fuse.glusterfs master:/volumen/datos rw\n";
        assert_eq!(of(part), on("/datos/mysql"));
    }

    #[test]
    fn what_goes_with_the_container() {
        assert_eq!(of(""), Lies::InContainer);
        assert_eq!(of("701 700 0:201 / /var/lib/mysql rw,relatime - tmpfs tmpfs rw,size=64k\n"), Lies::InMemory);
        // Mounted somewhere else: the data is not there.
        let beside = "701 700 0:174 /mysql /var/lib/mysql2 rw,relatime - fuse.glusterfs localhost:/volumen rw\n";
        assert_eq!(of(beside), Lies::InContainer);
    }

    #[test]
    fn a_folder_of_the_machine_is_no_volume_whatever_its_name() {
        let bind = "701 700 0:154 /mnt/volumen2 /var/lib/mysql rw,relatime - overlay overlay rw,lowerdir=/l/A\n";
        assert_eq!(of(bind), local("/mnt/volumen2", "/", "overlay"));
        let named_of = |line: &str| of(line).say("master").en;
        let named = "701 700 254:0 /var/lib/docker/volumes/a8fb/_data/volumes/volumen/_data /var/lib/mysql rw - ext4 /dev/vda rw\n";
        assert_eq!(of(named), local("/var/lib/docker/volumes/volumen/_data", "/var/lib/docker", "ext4"));
        assert!(named_of(named).contains("a folder of that machine alone"), "{}", named_of(named));
        let own = "6e41c99c707b77ff3acb0cf073ae96ec6c2e392c83ea9871b1ad8cb072d28e22";
        assert!(
            named_of(&named.replace("volumes/volumen", &format!("volumes/{own}"))).contains("a volume without a name")
        );
        let disk = "701 700 7:1 /datos /var/lib/mysql rw,relatime - xfs /dev/sdb rw\n";
        assert_eq!(of(disk), local("/gluster/brick/datos", "/gluster/brick", "xfs"));
        let nfs = "701 700 0:300 / /var/lib/mysql rw,relatime - nfs4 nas:/datos rw\n";
        assert_eq!(of(nfs), Lies::Elsewhere { source: "nas:/datos".into(), filesystem: "nfs4".into() });
    }

    #[test]
    fn a_brick_that_is_written_directly_is_no_volume() {
        let brick = "701 700 7:1 /volumen/mysql /var/lib/mysql rw,relatime - xfs /dev/sdb rw\n";
        let lies = of(brick);
        assert_eq!(lies, Lies::InBrick { path: "/gluster/brick/volumen/mysql".into() });
        assert!(lies.say("master").en.contains("behind the volume's back"));
    }
}
