/* Counts the changes that a process makes below one folder, and lets one of them go wrong. See injector.py.

   It is loaded before the C library (LD_PRELOAD), and stands between the program and the functions of the C library
   that change the file system. What to do is read from a page of memory that the test shares with the process and
   with the processes that it starts. The layout of the page is that of `_PAGE` in injector.py. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define MAX_CHANGES 16384

struct page {
    char folder[512];                /* changes below it count; empty: none does */
    atomic_int count;                /* of the changes so far */
    int at;                          /* the change that goes wrong, from 1; 0: none */
    int signal;                      /* sent to the group of the process before that change; 0: none */
    int torn;                        /* that change is a write: half of it is done, then the group is killed */
    int error;                       /* the errno of that change; 0: none */
    int lasting;                     /* every later change that needs space fails as well */
    char changes[MAX_CHANGES][128];  /* the name of each change and the end of its path */
};

static struct page *page;

__attribute__((constructor)) static void attach(void) {
    const char *name = getenv("FAULTS_PAGE");
    int file = name ? open(name, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *memory = mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (memory != MAP_FAILED) page = memory;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* the absolute path that a call names, or an empty text */
static void resolve(char *result, size_t size, int folder, const char *path) {
    char link[64], base[2048] = "";
    result[0] = 0;
    if (path && path[0] == '/') {
        snprintf(result, size, "%s", path);
        return;
    }
    if (folder == AT_FDCWD) {
        if (!getcwd(base, sizeof base)) return;
    } else {
        snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        ssize_t length = readlink(link, base, sizeof base - 1);
        base[length > 0 ? length : 0] = 0;
    }
    if (path) snprintf(result, size, "%s/%s", base, path);
    else snprintf(result, size, "%s", base);
}

/* Called before a change. Returns the errno with which the change has to fail, -1 for a write that is to be torn, or 0.
   `needs_space`: a full disk refuses it. */
static int before(const char *what, int folder, const char *path, int needs_space) {
    if (!page || !page->folder[0]) return 0;
    char where[4096];
    int saved = errno;
    resolve(where, sizeof where, folder, path);
    errno = saved;
    size_t length = strlen(page->folder);
    if (strncmp(where, page->folder, length) || where[length] != '/') return 0;
    int number = atomic_fetch_add(&page->count, 1) + 1;
    const char *end = where + length + 1;
    if (number <= MAX_CHANGES) snprintf(page->changes[number - 1], 128, "%s %.100s", what, end);
    if (!page->at) return 0;
    if (page->error && number > page->at && page->lasting && needs_space) return page->error;
    if (number != page->at) return 0;
    if (page->torn) return -1;
    if (page->signal) kill(0, page->signal);
    if (page->signal == SIGKILL) pause();
    return page->error;
}

static void die(void) {
    kill(0, SIGKILL);
    pause();
}

static int exists(int folder, const char *path) {
    struct stat found;
    int saved = errno, is_there = !fstatat(folder, path, &found, AT_SYMLINK_NOFOLLOW);
    errno = saved;
    return is_there;
}

#define FAIL_OR(what, folder, path, space, call)                      \
    do {                                                              \
        int wrong = before(what, folder, path, space);                \
        if (wrong == -1) die();                                       \
        if (wrong) {                                                  \
            errno = wrong;                                            \
            return -1;                                                \
        }                                                             \
        return call;                                                  \
    } while (0)

/* removing what is not there, and making what is there, are no changes */
#define REMOVE(what, folder, path, call)                              \
    do {                                                              \
        if (!exists(folder, path)) return call;                       \
        FAIL_OR(what, folder, path, 0, call);                         \
    } while (0)
#define MAKE(what, folder, path, call)                                \
    do {                                                              \
        if (exists(folder, path)) return call;                        \
        FAIL_OR(what, folder, path, 1, call);                         \
    } while (0)

/* opening: a change if it makes a file or empties one */
static int before_open(int folder, const char *path, int flags) {
    struct stat old;
    if ((flags & O_ACCMODE) == O_RDONLY && !(flags & (O_CREAT | O_TRUNC))) return 0;
    if ((flags & O_TMPFILE) == O_TMPFILE) return before("create", folder, path, 1);
    int exists = !fstatat(folder, path, &old, 0);
    if (exists && (flags & O_EXCL) && (flags & O_CREAT)) return 0;
    if (!exists && (flags & O_CREAT)) return before("create", folder, path, 1);
    if (exists && (flags & O_TRUNC) && S_ISREG(old.st_mode) && old.st_size) return before("empty", folder, path, 0);
    return 0;
}

#define OPEN(name, folder, ...)                                       \
    mode_t mode = 0;                                                  \
    if (flags & (O_CREAT | O_TMPFILE)) {                              \
        va_list rest;                                                 \
        va_start(rest, flags);                                        \
        mode = va_arg(rest, mode_t);                                  \
        va_end(rest);                                                 \
    }                                                                 \
    int wrong = before_open(folder, path, flags);                     \
    if (wrong == -1) die();                                           \
    if (wrong) {                                                      \
        errno = wrong;                                                \
        return -1;                                                    \
    }                                                                 \
    return REAL(name)(__VA_ARGS__, flags, mode);

int open(const char *path, int flags, ...) { OPEN(open, AT_FDCWD, path) }
int open64(const char *path, int flags, ...) { OPEN(open64, AT_FDCWD, path) }
int openat(int folder, const char *path, int flags, ...) { OPEN(openat, folder, folder, path) }
int openat64(int folder, const char *path, int flags, ...) { OPEN(openat64, folder, folder, path) }

/* writing */
#define WRITE(name, half, ...)                                        \
    int wrong = before("write", file, NULL, 1);                       \
    if (wrong == -1) {                                                \
        half;                                                         \
        die();                                                        \
    }                                                                 \
    if (wrong) {                                                      \
        errno = wrong;                                                \
        return -1;                                                    \
    }                                                                 \
    return REAL(name)(__VA_ARGS__);

ssize_t write(int file, const void *data, size_t size) {
    WRITE(write, REAL(write)(file, data, size / 2), file, data, size)
}
ssize_t pwrite(int file, const void *data, size_t size, off_t place) {
    WRITE(pwrite, REAL(pwrite)(file, data, size / 2, place), file, data, size, place)
}
ssize_t pwrite64(int file, const void *data, size_t size, off64_t place) {
    WRITE(pwrite64, REAL(pwrite64)(file, data, size / 2, place), file, data, size, place)
}
ssize_t writev(int file, const struct iovec *parts, int number) {
    WRITE(writev, REAL(write)(file, parts[0].iov_base, parts[0].iov_len / 2), file, parts, number)
}
ssize_t sendfile(int file, int source, off_t *place, size_t size) {
    WRITE(sendfile, (void)0, file, source, place, size)
}
ssize_t sendfile64(int file, int source, off64_t *place, size_t size) {
    WRITE(sendfile64, (void)0, file, source, place, size)
}
ssize_t copy_file_range(int source, off64_t *from, int file, off64_t *to, size_t size, unsigned flags) {
    WRITE(copy_file_range, (void)0, source, from, file, to, size, flags)
}
size_t fwrite(const void *data, size_t size, size_t number, FILE *stream) {
    int wrong = before("write", fileno(stream), NULL, 1);
    if (wrong == -1) {
        REAL(fwrite)(data, size, number / 2, stream);
        fflush(stream);
        die();
    }
    if (wrong) {
        errno = wrong;
        return 0;
    }
    return REAL(fwrite)(data, size, number, stream);
}
int ftruncate(int file, off_t size) { FAIL_OR("truncate", file, NULL, 1, REAL(ftruncate)(file, size)); }
int ftruncate64(int file, off64_t size) { FAIL_OR("truncate", file, NULL, 1, REAL(ftruncate64)(file, size)); }
int truncate(const char *path, off_t size) { FAIL_OR("truncate", AT_FDCWD, path, 1, REAL(truncate)(path, size)); }
int fsync(int file) { FAIL_OR("fsync", file, NULL, 0, REAL(fsync)(file)); }
int fdatasync(int file) { FAIL_OR("fsync", file, NULL, 0, REAL(fdatasync)(file)); }

/* names; a rename counts where its target is */
int rename(const char *from, const char *to) { FAIL_OR("rename", AT_FDCWD, to, 0, REAL(rename)(from, to)); }
int renameat(int a, const char *from, int b, const char *to) {
    FAIL_OR("rename", b, to, 0, REAL(renameat)(a, from, b, to));
}
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) {
    FAIL_OR(flags & RENAME_EXCHANGE ? "exchange" : "rename", b, to, 0, REAL(renameat2)(a, from, b, to, flags));
}
int unlink(const char *path) { REMOVE("unlink", AT_FDCWD, path, REAL(unlink)(path)); }
int unlinkat(int folder, const char *path, int flags) {
    REMOVE(flags & AT_REMOVEDIR ? "rmdir" : "unlink", folder, path, REAL(unlinkat)(folder, path, flags));
}
int rmdir(const char *path) { REMOVE("rmdir", AT_FDCWD, path, REAL(rmdir)(path)); }
int mkdir(const char *path, mode_t mode) { MAKE("mkdir", AT_FDCWD, path, REAL(mkdir)(path, mode)); }
int mkdirat(int folder, const char *path, mode_t mode) { MAKE("mkdir", folder, path, REAL(mkdirat)(folder, path, mode)); }
int link(const char *from, const char *to) { MAKE("link", AT_FDCWD, to, REAL(link)(from, to)); }
int linkat(int a, const char *from, int b, const char *to, int flags) {
    MAKE("link", b, to, REAL(linkat)(a, from, b, to, flags));
}
int symlink(const char *from, const char *to) { MAKE("symlink", AT_FDCWD, to, REAL(symlink)(from, to)); }
