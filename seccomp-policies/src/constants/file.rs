//! Files and descriptors.

use super::family::family;

family! {
    /// Flags of `open`. The differing ones: `include/uapi/asm-generic/fcntl.h` and
    /// `arch/arm64/include/uapi/asm/fcntl.h`.
    OPEN: Kind::Flags { field: 0o3 };
    libc {
        O_RDONLY O_WRONLY O_RDWR O_CREAT O_EXCL O_NOCTTY O_TRUNC O_APPEND O_NONBLOCK O_DSYNC O_ASYNC O_CLOEXEC
        O_SYNC O_RSYNC O_NOATIME O_PATH O_NDELAY O_ACCMODE
    }
    each {
        O_DIRECT = 0o40000 / 0o200_000;
        O_LARGEFILE = 0o100_000 / 0o400_000;
        O_DIRECTORY = 0o200_000 / 0o40000;
        O_NOFOLLOW = 0o400_000 / 0o100_000;
        O_TMPFILE = 0o20_200_000 / 0o20_040_000;
    }
}

family! {
    /// Flags of the `*at` calls.
    AT_FLAGS: Kind::Flags { field: 0 };
    libc {
        AT_SYMLINK_NOFOLLOW AT_REMOVEDIR AT_SYMLINK_FOLLOW AT_NO_AUTOMOUNT AT_EMPTY_PATH AT_EACCESS AT_RECURSIVE
        AT_STATX_SYNC_AS_STAT AT_STATX_FORCE_SYNC AT_STATX_DONT_SYNC
    }
}

family! {
    /// In place of a directory's descriptor.
    AT_DIRECTORY: Kind::Values;
    libc { AT_FDCWD }
}

family! {
    /// Commands of `fcntl`. `F_ADD_SEALS` and the like: `include/uapi/linux/fcntl.h`.
    FCNTL: Kind::Values;
    libc {
        F_DUPFD F_GETFD F_SETFD F_GETFL F_SETFL F_GETLK F_SETLK F_SETLKW F_SETOWN F_GETOWN F_OFD_GETLK F_OFD_SETLK
        F_OFD_SETLKW F_SETLEASE F_GETLEASE F_NOTIFY F_DUPFD_CLOEXEC F_SETPIPE_SZ F_GETPIPE_SZ F_ADD_SEALS F_GET_SEALS
    }
    same { F_SETSIG = 10; F_GETSIG = 11; F_SETOWN_EX = 15; F_GETOWN_EX = 16; }
}

family! {
    /// Descriptor flags and seals, third argument of `fcntl`.
    DESCRIPTOR_FLAGS: Kind::Flags { field: 0 };
    libc { FD_CLOEXEC F_SEAL_SEAL F_SEAL_SHRINK F_SEAL_GROW F_SEAL_WRITE F_SEAL_FUTURE_WRITE }
}

family! {
    /// Type and permission bits of a file.
    MODE: Kind::Flags { field: 0o170_000 };
    libc {
        S_IFMT S_IFIFO S_IFCHR S_IFDIR S_IFBLK S_IFREG S_IFLNK S_IFSOCK S_ISUID S_ISGID S_ISVTX S_IRWXU S_IRUSR S_IWUSR
        S_IXUSR S_IRWXG S_IRGRP S_IWGRP S_IXGRP S_IRWXO S_IROTH S_IWOTH S_IXOTH
    }
}

family! {
    /// What `access` asks.
    ACCESS: Kind::Flags { field: 0 };
    libc { F_OK R_OK W_OK X_OK }
}

family! {
    /// Where `lseek` counts from.
    SEEK: Kind::Values;
    libc { SEEK_SET SEEK_CUR SEEK_END SEEK_DATA SEEK_HOLE }
}

family! {
    /// Operations of `flock`.
    LOCK: Kind::Flags { field: 0 };
    libc { LOCK_SH LOCK_EX LOCK_NB LOCK_UN }
}

family! {
    /// Flags of `renameat2`.
    RENAME: Kind::Flags { field: 0 };
    libc { RENAME_NOREPLACE RENAME_EXCHANGE RENAME_WHITEOUT }
}

family! {
    /// Modes of `fallocate`.
    FALLOCATE: Kind::Flags { field: 0 };
    libc {
        FALLOC_FL_KEEP_SIZE FALLOC_FL_PUNCH_HOLE FALLOC_FL_COLLAPSE_RANGE FALLOC_FL_ZERO_RANGE FALLOC_FL_INSERT_RANGE
        FALLOC_FL_UNSHARE_RANGE
    }
}

family! {
    /// What `statx` is asked for.
    STATX: Kind::Flags { field: 0 };
    libc {
        STATX_BASIC_STATS STATX_TYPE STATX_MODE STATX_NLINK STATX_UID STATX_GID STATX_ATIME STATX_MTIME STATX_CTIME
        STATX_INO STATX_SIZE STATX_BLOCKS STATX_BTIME STATX_MNT_ID
    }
}

family! {
    /// Flags of `close_range`.
    CLOSE_RANGE: Kind::Flags { field: 0 };
    libc { CLOSE_RANGE_UNSHARE CLOSE_RANGE_CLOEXEC }
}

family! {
    /// Flags of `memfd_create`.
    MEMFD: Kind::Flags { field: 0 };
    libc { MFD_CLOEXEC MFD_ALLOW_SEALING MFD_HUGETLB MFD_NOEXEC_SEAL MFD_EXEC }
}

family! {
    /// In `struct open_how`.
    RESOLVE: Kind::Flags { field: 0 };
    libc { RESOLVE_NO_XDEV RESOLVE_NO_MAGICLINKS RESOLVE_NO_SYMLINKS RESOLVE_BENEATH RESOLVE_IN_ROOT RESOLVE_CACHED }
}

family! {
    /// Flags of `mount`.
    MOUNT: Kind::Flags { field: 0 };
    libc {
        MS_RDONLY MS_NOSUID MS_NODEV MS_NOEXEC MS_SYNCHRONOUS MS_REMOUNT MS_MANDLOCK MS_DIRSYNC MS_NOATIME
        MS_NODIRATIME MS_BIND MS_MOVE MS_REC MS_SILENT MS_UNBINDABLE MS_PRIVATE MS_SLAVE MS_SHARED MS_RELATIME
        MS_STRICTATIME MS_LAZYTIME
    }
}

family! {
    /// Flags of `umount2`.
    UMOUNT: Kind::Flags { field: 0 };
    libc { MNT_FORCE MNT_DETACH MNT_EXPIRE UMOUNT_NOFOLLOW }
}
