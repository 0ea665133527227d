/**
 * Reads Linux's mount table (`/proc/self/mountinfo`, proc(5)) and says of a file system's type whether locks on it decide (J8.4).
 */

export interface MountEntry {
  readonly mountPoint: string
  /** As the kernel names it: `ext4`, `nfs4`, `fuse.sshfs`. */
  readonly type: string
}

/** One entry a mount, in the table's order: of two with one mount point, the later one covers the earlier. */
export const parseMountInfo = (text: string): ReadonlyArray<MountEntry> =>
  text.split("\n").flatMap((line) => {
    // 36 35 98:0 /root /mnt rw,noatime shared:1 master:2 - ext3 /dev/sda rw
    const [before, after] = line.split(" - ", 2)
    const mountPoint = before?.split(" ")[4]
    const type = after?.split(" ")[0]
    return mountPoint === undefined || type === undefined ? [] : [{ mountPoint: unescape(mountPoint), type }]
  })

/** The mount that an absolute path without symbolic links lies in. */
export const mountOf = (entries: ReadonlyArray<MountEntry>, path: string): MountEntry | undefined =>
  entries
    .filter(({ mountPoint }) => mountPoint === "/" || path === mountPoint || path.startsWith(`${mountPoint}/`))
    .reduce<MountEntry | undefined>(
      (best, entry) => (best === undefined || entry.mountPoint.length >= best.mountPoint.length ? entry : best),
      undefined
    )

/** Space, tab, newline and backslash stand as octal numbers. */
const unescape = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))

/** `unknown`: in neither list, which counts as not local. */
export type Kind = "local" | "network" | "unknown"

/** One kernel decides all locks on these. The types ext2 and ext3 are served by the driver of ext4. */
const local = new Set(["ext2", "ext3", "ext4", "xfs", "btrfs", "tmpfs", "f2fs", "zfs", "overlay"])

const network =
  /^(nfs\d*|cifs|smb\d*|smbfs|fuse\..+|9p|virtiofs|lustre|gpfs|ceph|afs|beegfs.*|glusterfs|ocfs2|gfs2|orangefs|pvfs2|coda|wekafs)$/

export const kindOf = (type: string): Kind => (local.has(type) ? "local" : network.test(type) ? "network" : "unknown")
