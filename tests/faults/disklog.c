/* A disk that remembers, and that can be full or fail: preloaded into a process, it stands between it and the files
 * below one folder.
 *
 * DISK_FOLDER   the real path of the folder that is watched
 * DISK_LOG      the file to which every change is appended, in the order in which the changes were made
 * DISK_CONTROL  optional: a file of two 64-bit integers that may be changed at any time by anybody who maps it:
 *               how many bytes files may still grow, and how many of the next syncs fail
 *
 * A record is: one letter, three zero bytes, the length of the name (32 bits), the length of the data (64 bits), the
 * offset (64 bits), the name below the folder, the data; integers as this machine stores them. The letters:
 * c created, w written (offset, data), t cut or stretched (offset: the new size), b sync begun, s sync done,
 * u unlinked, r renamed (data: the new name), d the folder itself synced.
 * A change is logged after it was made, and what a sync covers is what was logged before it began: the log never
 * promises more than the disk did.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILES 1024
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

struct header {
    char kind;
    char zero[3];
    uint32_t name;
    uint64_t data;
    int64_t offset;
};

static char folder[PATH_MAX];
static size_t folder_length;
static int log_fd = -1;
static volatile int64_t *control; /* bytes left, syncs that fail */
static char *names[FILES];        /* of the open files below the folder, by descriptor; "" is the folder itself */

static int (*real_open)(const char *, int, ...);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_write)(int, const void *, size_t);
static int (*real_ftruncate)(int, off_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_close)(int);
static int (*real_unlink)(const char *);
static int (*real_rename)(const char *, const char *);
static int (*real_statvfs)(const char *, struct statvfs *);

__attribute__((constructor)) static void start(void) {
    if (real_open)
        return;
    real_pwrite = REAL(pwrite);
    real_write = REAL(write);
    real_ftruncate = REAL(ftruncate);
    real_fsync = REAL(fsync);
    real_fdatasync = REAL(fdatasync);
    real_close = REAL(close);
    real_unlink = REAL(unlink);
    real_rename = REAL(rename);
    real_statvfs = REAL(statvfs);
    real_open = REAL(open);
    const char *path = getenv("DISK_FOLDER"), *log = getenv("DISK_LOG"), *steer = getenv("DISK_CONTROL");
    if (!path || !log)
        return;
    strncpy(folder, path, sizeof folder - 1);
    folder_length = strlen(folder);
    log_fd = real_open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (log_fd < 0)
        abort();
    if (steer) {
        int fd = real_open(steer, O_RDWR | O_CLOEXEC);
        void *seen = mmap(NULL, 16, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (fd < 0 || seen == MAP_FAILED)
            abort();
        control = seen;
        real_close(fd);
    }
}

/* The name below the folder, "" for the folder itself, NULL for anything else. */
static const char *below(const char *path) {
    if (!folder_length || strncmp(path, folder, folder_length))
        return NULL;
    if (!path[folder_length])
        return "";
    return path[folder_length] == '/' ? path + folder_length + 1 : NULL;
}

static const char *name_of(int fd) { return fd >= 0 && fd < FILES ? names[fd] : NULL; }

static void note(char kind, const char *name, int64_t offset, const void *data, size_t length) {
    if (log_fd < 0)
        return;
    int kept = errno;
    struct header head = {kind, {0, 0, 0}, (uint32_t)strlen(name), length, offset};
    struct iovec parts[3] = {{&head, sizeof head}, {(void *)name, head.name}, {(void *)data, length}};
    if (syscall(SYS_writev, log_fd, parts, 3) != (long)(sizeof head + head.name + length))
        abort(); /* half a log proves nothing */
    errno = kept;
}

/* How much of a write still fits: all of it, a part, or nothing. */
static size_t fits(int fd, size_t length, int64_t offset) {
    struct stat now;
    if (!control || fstat(fd, &now))
        return length;
    int64_t growth = offset + (int64_t)length - now.st_size;
    if (growth <= 0)
        return length;
    if (growth > control[0]) {
        int64_t part = (int64_t)length - (growth - control[0]);
        length = part > 0 ? (size_t)part : 0;
        growth = control[0];
    }
    control[0] -= growth;
    return length;
}

static int opened(const char *path, int flags, mode_t mode) {
    start();
    const char *name = below(path);
    if (!name)
        return real_open(path, flags, mode);
    struct stat before;
    int is_new = (flags & O_CREAT) && stat(path, &before) != 0;
    int fd = real_open(path, flags, mode);
    if (fd < 0)
        return fd;
    if (fd >= FILES)
        abort();
    free(names[fd]);
    names[fd] = strdup(name);
    if (is_new)
        note('c', name, 0, NULL, 0);
    else if (flags & O_TRUNC)
        note('t', name, 0, NULL, 0);
    return fd;
}

#define OPEN(function)                                               \
    int function(const char *path, int flags, ...) {                 \
        mode_t mode = 0;                                             \
        if ((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE) { \
            va_list more;                                            \
            va_start(more, flags);                                   \
            mode = va_arg(more, mode_t);                             \
            va_end(more);                                            \
        }                                                            \
        return opened(path, flags, mode);                            \
    }
OPEN(open)
#ifdef __GLIBC__
OPEN(open64)
#endif

int close(int fd) {
    start();
    if (name_of(fd)) {
        free(names[fd]);
        names[fd] = NULL;
    }
    return real_close(fd);
}

static ssize_t written(int fd, const void *data, size_t length, off_t offset) {
    start();
    const char *name = name_of(fd);
    if (!name)
        return real_pwrite(fd, data, length, offset);
    size_t part = fits(fd, length, offset);
    if (!part && length) {
        errno = ENOSPC;
        return -1;
    }
    ssize_t done = real_pwrite(fd, data, part, offset);
    if (done > 0)
        note('w', name, offset, data, (size_t)done);
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) { return written(fd, data, length, offset); }
#ifdef __GLIBC__
ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) { return written(fd, data, length, offset); }
#endif

ssize_t write(int fd, const void *data, size_t length) {
    start();
    if (!name_of(fd))
        return real_write(fd, data, length);
    off_t offset = lseek(fd, 0, SEEK_CUR);
    ssize_t done = written(fd, data, length, offset);
    if (done > 0)
        lseek(fd, offset + done, SEEK_SET);
    return done;
}

static int truncated(int fd, off_t size) {
    start();
    const char *name = name_of(fd);
    struct stat now;
    if (name && control && !fstat(fd, &now) && size > now.st_size && fits(fd, 1, size - 1) != 1) {
        errno = ENOSPC;
        return -1;
    }
    int answer = real_ftruncate(fd, size);
    if (!answer && name)
        note('t', name, size, NULL, 0);
    return answer;
}

int ftruncate(int fd, off_t size) { return truncated(fd, size); }
#ifdef __GLIBC__
int ftruncate64(int fd, off64_t size) { return truncated(fd, size); }
#endif

static int synced(int fd, int (*really)(int)) {
    const char *name = name_of(fd);
    if (!name)
        return really(fd);
    if (control && control[1] > 0) {
        control[1]--;
        errno = EIO;
        return -1;
    }
    if (*name)
        note('b', name, 0, NULL, 0);
    int answer = really(fd);
    if (!answer)
        note(*name ? 's' : 'd', name, 0, NULL, 0);
    return answer;
}

int fsync(int fd) {
    start();
    return synced(fd, real_fsync);
}

int fdatasync(int fd) {
    start();
    return synced(fd, real_fdatasync);
}

int unlink(const char *path) {
    start();
    int answer = real_unlink(path);
    const char *name = below(path);
    if (!answer && name)
        note('u', name, 0, NULL, 0);
    return answer;
}

int rename(const char *from, const char *to) {
    start();
    int answer = real_rename(from, to);
    const char *name = below(from), *other = below(to);
    if (!answer && name && other)
        note('r', name, 0, other, strlen(other));
    return answer;
}

/* Who asks how much space is left is told so too. */
int statvfs(const char *path, struct statvfs *found) {
    start();
    int answer = real_statvfs(path, found);
    if (!answer && control && below(path) && control[0] < (int64_t)found->f_frsize)
        found->f_bavail = found->f_bfree = 0;
    return answer;
}

#ifdef __GLIBC__
int statvfs64(const char *path, struct statvfs64 *found) { return statvfs(path, (struct statvfs *)found); }
#endif
