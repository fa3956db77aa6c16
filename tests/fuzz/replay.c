/*
 * The main function of a fuzz target in builds without libFuzzer: replays all files of the
 * directories and files given as arguments, and says how many. An empty or missing directory fails,
 * so that a corpus that got lost is noticed.
 */
#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { FILE_BYTES_MAX = 16 * 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return false;
    }
    bool replayed = false;
    struct stat stat;
    if (fstat(fileno(file), &stat) != 0 || stat.st_size > FILE_BYTES_MAX) {
        fprintf(stderr, "%s: cannot be read, or is too large\n", path);
        fclose(file);
        return false;
    }
    /* Exactly as large as the input, so that a read past its end is noticed. */
    const size_t size = (size_t)stat.st_size;
    uint8_t *data = malloc(size > 0 ? size : 1);
    if (data == NULL || fread(data, 1, size, file) != size) {
        fprintf(stderr, "%s: cannot be read\n", path);
    } else {
        replayed = LLVMFuzzerTestOneInput(data, size) == 0;
    }
    free(data);
    fclose(file);
    return replayed;
}

/* The number of files, or -1 after a failure. */
static long replay_directory(const char *path)
{
    DIR *directory = opendir(path);
    if (directory == NULL) {
        perror(path);
        return -1;
    }
    long count = 0;
    for (const struct dirent *entry; count >= 0 && (entry = readdir(directory)) != NULL;) {
        char file_path[PATH_MAX];
        struct stat stat_of_file;
        const int size = snprintf(file_path, sizeof(file_path), "%s/%s", path, entry->d_name);
        if (size < 0 || (size_t)size >= sizeof(file_path) || stat(file_path, &stat_of_file) != 0) {
            fprintf(stderr, "%s/%s: cannot be read\n", path, entry->d_name);
            count = -1;
        } else if (S_ISREG(stat_of_file.st_mode)) {
            count = replay_file(file_path) ? count + 1 : -1;
        }
    }
    closedir(directory);
    if (count == 0) {
        fprintf(stderr, "%s: no files\n", path);
        return -1;
    }
    return count;
}

int main(int argc, char **argv)
{
    long total = 0;
    for (int i = 1; i < argc; i++) {
        struct stat stat_of_path;
        if (stat(argv[i], &stat_of_path) != 0) {
            perror(argv[i]);
            return EXIT_FAILURE;
        }
        const long count = S_ISDIR(stat_of_path.st_mode) ? replay_directory(argv[i])
                           : replay_file(argv[i])        ? 1
                                                         : -1;
        if (count < 0) {
            return EXIT_FAILURE;
        }
        total += count;
    }
    if (total == 0) {
        fprintf(stderr, "usage: %s DIRECTORY|FILE...\n", argv[0]);
        return EXIT_FAILURE;
    }
    printf("%ld inputs replayed\n", total);
    return EXIT_SUCCESS;
}
