#include "node/directory.h"

#include "base/check.h"
#include "base/limits.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

bool directory_make(const char *path)
{
    if (mkdir(path, 0700) != 0) {
        return errno == EEXIST;
    }
    char parent[PATH_BYTES_MAX + 16];
    (void)snprintf(parent, sizeof(parent), "%s", path);
    char *slash = strrchr(parent, '/');
    if (slash == NULL) {
        (void)snprintf(parent, sizeof(parent), ".");
    } else {
        slash[slash == parent ? 1 : 0] = '\0';
    }
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    bool synced = fsync(fd) == 0;
    int error = errno;
    (void)close(fd);
    errno = error;
    return synced;
}

bool directory_make_all(const char *path)
{
    char part[PATH_BYTES_MAX];
    size_t size = strlen(path);
    assert(size > 0 && size < sizeof(part));
    for (size_t i = 1; i <= size; i++) {
        if (path[i] != '/' && path[i] != '\0') {
            continue;
        }
        memcpy(part, path, i);
        part[i] = '\0';
        if (!directory_make(part)) {
            return false;
        }
    }
    return true;
}

enum status directory_empty(const char *path)
{
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return STATUS_IO;
    }
    enum status status = STATUS_OK;
    errno = 0;
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            status = STATUS_EXISTS;
            break;
        }
    }
    if (status == STATUS_OK && errno != 0) {
        status = STATUS_IO;
    }
    (void)closedir(dir);
    return status;
}

static enum status lock_fail(const char *path, int reason, char *error, size_t error_size)
{
    (void)snprintf(error, error_size, "%s/lock: %s", path, strerror(reason));
    return STATUS_IO;
}

enum status directory_lock(int dir_fd, const char *path, int *lock_fd, char *error,
                           size_t error_size)
{
    int lock = openat(dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock < 0) {
        return lock_fail(path, errno, error, error_size);
    }
    char holder[32] = "";
    if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
        bool taken = errno == EWOULDBLOCK;
        int reason = errno;
        if (taken && pread(lock, holder, sizeof(holder) - 1, 0) > 0) {
            holder[strspn(holder, "0123456789")] = '\0';
        }
        (void)close(lock);
        if (!taken) {
            return lock_fail(path, reason, error, error_size);
        }
        (void)snprintf(error, error_size, "%s: in use by process %s", path,
                       holder[0] != '\0' ? holder : "(unknown)");
        return STATUS_LOCKED;
    }
    /* The number serves people only: the lock itself is the kernel's. */
    int size = snprintf(holder, sizeof(holder), "%ld\n", (long)getpid());
    assert(size > 0);
    if (ftruncate(lock, 0) != 0 || pwrite(lock, holder, (size_t)size, 0) != size) {
        int reason = errno;
        (void)close(lock);
        return lock_fail(path, reason, error, error_size);
    }
    *lock_fd = lock;
    return STATUS_OK;
}
