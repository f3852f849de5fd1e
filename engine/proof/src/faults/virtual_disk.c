/* Simulates a disk beneath one process and injects faults.

   Preloaded before libc, it intercepts the process's calls on the files of one
   folder and journals each write with its bytes, and each sync. From the journal
   the parent derives what was synced, and thus the images that a power cut could
   leave. Through a shared page, `struct control`, the parent selects the calls
   that fail and the moment at which the disk is held.

   A sync is delayed as on a disk, but never reaches the real disk: the files
   live as long as the machine, and only the journal knows what is durable.
   The index that SQLite shares between processes (-shm) is shared memory in the
   form of a file, and not simulated. */

#define _GNU_SOURCE
#undef _FORTIFY_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FILES_MAX = 4096 };
enum kind { OPENED, WRITTEN, CUT_SHORT, SYNCED, NOT_SYNCED, REMOVED, FOLDER_SYNCED };
enum call { WRITE, SYNC, READ, CALLS };

/* The header of a journal line; its payload (bytes or a name) follows. */
struct line {
    uint32_t kind, length;
    uint64_t file, offset;
};

/* The parent's orders. Calls of a kind fail `left` times after `skip` more
   successes. */
struct control {
    struct { uint32_t skip, left, failed; } calls[CALLS];
    /* Changes until the disk is held (0: never), and whether it is held. */
    uint32_t hold_after, held;
    uint32_t sync_micros;
    /* Defers all of this until a checkpoint begins: the first write of a page to
       the database file. */
    uint32_t awaits_checkpoint;
};

static struct control *control;
static const char *folder;
static int journal = -1;
/* The file number of each descriptor; 1 is the folder itself. */
static uint64_t files[FILES_MAX];
/* Whether the descriptor is the database file. */
static char is_database[FILES_MAX];
/* Serializes changes, so that the journal's order is the execution order: held
   from a line of the journal until its call has ended. */
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;

static void give_up(const char *why)
{
    dprintf(2, "virtual disk: %s: %s\n", why, strerror(errno));
    abort();
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("STOCKADE_DISK_FOLDER");
    const char *lines = getenv("STOCKADE_DISK_JOURNAL");
    const char *page = getenv("STOCKADE_DISK_CONTROL");
    if (!path || !lines || !page)
        return;
    journal = (int)syscall(SYS_openat, AT_FDCWD, lines, O_WRONLY | O_APPEND | O_CLOEXEC);
    int shared = (int)syscall(SYS_openat, AT_FDCWD, page, O_RDWR | O_CLOEXEC);
    if (journal < 0 || shared < 0)
        give_up("its files are missing");
    control = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, shared, 0);
    if (control == MAP_FAILED)
        give_up("its page cannot be shared");
    close(shared);
    folder = path;
}

/* Decrements a counter of the parent unless it is 0; returns whether it did. */
static int take(uint32_t *number)
{
    uint32_t seen = __atomic_load_n(number, __ATOMIC_SEQ_CST);
    while (seen > 0)
        if (__atomic_compare_exchange_n(number, &seen, seen - 1, 0, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST))
            return 1;
    return 0;
}

static int is_awaited(void)
{
    return __atomic_load_n(&control->awaits_checkpoint, __ATOMIC_SEQ_CST) != 0;
}

static int fails(enum call call)
{
    if (is_awaited() || __atomic_load_n(&control->calls[call].left, __ATOMIC_SEQ_CST) == 0)
        return 0;
    if (take(&control->calls[call].skip) || !take(&control->calls[call].left))
        return 0;
    __atomic_add_fetch(&control->calls[call].failed, 1, __ATOMIC_SEQ_CST);
    return 1;
}

static void tell(enum kind kind, uint64_t file, uint64_t offset, const void *bytes, size_t length)
{
    struct line line = { kind, (uint32_t)length, file, offset };
    struct iovec parts[2] = { { &line, sizeof line }, { (void *)bytes, length } };
    if (syscall(SYS_writev, journal, parts, 2) != (ssize_t)(sizeof line + length))
        give_up("its journal cannot be written");
}

/* Begins a change: waits for the change in progress, and while the disk is
   held. */
static void enter(void)
{
    pthread_mutex_lock(&order);
    if (!is_awaited() && take(&control->hold_after) &&
        __atomic_load_n(&control->hold_after, __ATOMIC_SEQ_CST) == 0) {
        __atomic_store_n(&control->held, 1, __ATOMIC_SEQ_CST);
        while (__atomic_load_n(&control->held, __ATOMIC_SEQ_CST))
            usleep(100);
    }
}

static int leave(int result)
{
    int why = errno;
    pthread_mutex_unlock(&order);
    errno = why;
    return result;
}

static uint64_t file_of(int fd)
{
    return folder && fd >= 0 && fd < FILES_MAX ? files[fd] : 0;
}

/* Returns the name in the folder, "" for the folder itself, or NULL. */
static const char *name_of(const char *path)
{
    size_t length = folder ? strlen(folder) : 0;
    if (length == 0 || strncmp(path, folder, length) != 0)
        return NULL;
    if (path[length] == '\0')
        return "";
    const char *end = strrchr(path, '-');
    return path[length] == '/' && !(end && strcmp(end, "-shm") == 0) ? path + length + 1 : NULL;
}

static int open_at(int at, const char *path, int flags, mode_t mode)
{
    const char *name = name_of(path);
    if (!name)
        return (int)syscall(SYS_openat, at, path, flags, mode);
    enter();
    int fd = (int)syscall(SYS_openat, at, path, flags, mode);
    struct stat stat;
    if (fd < 0 || fd >= FILES_MAX || fstat(fd, &stat) != 0)
        return leave(fd);
    files[fd] = *name == '\0' ? 1 : stat.st_ino;
    const char *end = strrchr(name, '.');
    is_database[fd] = end && strcmp(end, ".db") == 0;
    if (*name != '\0')
        tell(OPENED, stat.st_ino, 0, name, strlen(name));
    return leave(fd);
}

/* Reads the mode argument, if the flags imply one. */
#define MODE(flags, mode)                                                                         \
    mode_t mode = 0;                                                                              \
    if (flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE) {                                    \
        va_list rest;                                                                             \
        va_start(rest, flags);                                                                    \
        mode = va_arg(rest, mode_t);                                                              \
        va_end(rest);                                                                             \
    }

int open(const char *path, int flags, ...)
{
    MODE(flags, mode)
    return open_at(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    MODE(flags, mode)
    return open_at(AT_FDCWD, path, flags | O_LARGEFILE, mode);
}

int openat(int at, const char *path, int flags, ...)
{
    MODE(flags, mode)
    return open_at(at, path, flags, mode);
}

int openat64(int at, const char *path, int flags, ...)
{
    MODE(flags, mode)
    return open_at(at, path, flags | O_LARGEFILE, mode);
}

int close(int fd)
{
    if (file_of(fd))
        files[fd] = 0;
    return (int)syscall(SYS_close, fd);
}

ssize_t pread64(int fd, void *bytes, size_t length, off64_t offset)
{
    if (file_of(fd) && fails(READ)) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_pread64, fd, bytes, length, offset);
}

/* A failing write has written half of its bytes. */
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset)
{
    uint64_t file = file_of(fd);
    if (!file)
        return syscall(SYS_pwrite64, fd, bytes, length, offset);
    if (is_database[fd])
        __atomic_store_n(&control->awaits_checkpoint, 0, __ATOMIC_SEQ_CST);
    enter();
    int bad = fails(WRITE);
    tell(WRITTEN, file, (uint64_t)offset, bytes, bad ? length / 2 : length);
    ssize_t done = syscall(SYS_pwrite64, fd, bytes, bad ? length / 2 : length, offset);
    if (bad) {
        errno = EIO;
        done = -1;
    }
    return leave((int)done);
}

int ftruncate64(int fd, off64_t length)
{
    uint64_t file = file_of(fd);
    if (!file)
        return (int)syscall(SYS_ftruncate, fd, length);
    enter();
    tell(CUT_SHORT, file, (uint64_t)length, NULL, 0);
    return leave((int)syscall(SYS_ftruncate, fd, length));
}

/* A failing sync leaves the durability of earlier writes open, and no later sync
   repairs that, as in real kernels. */
static int sync_file(int fd, long number)
{
    uint64_t file = file_of(fd);
    if (!file)
        return (int)syscall(number, fd);
    usleep(__atomic_load_n(&control->sync_micros, __ATOMIC_SEQ_CST));
    enter();
    if (file == 1) {
        tell(FOLDER_SYNCED, file, 0, NULL, 0);
        return leave(0);
    }
    int bad = fails(SYNC);
    tell(bad ? NOT_SYNCED : SYNCED, file, 0, NULL, 0);
    errno = EIO;
    return leave(bad ? -1 : 0);
}

int fsync(int fd)
{
    return sync_file(fd, SYS_fsync);
}

int fdatasync(int fd)
{
    return sync_file(fd, SYS_fdatasync);
}

int unlink(const char *path)
{
    const char *name = name_of(path);
    if (!name)
        return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    enter();
    int done = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    if (done == 0)
        tell(REMOVED, 0, 0, name, strlen(name));
    return leave(done);
}
