/* The child of a fork does not affect its parent's engines, whether it frees a
 * handle or opens its own engine: `leave unix:///SOCKET`. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <stockade.h>
#include "check.h"

/* A child that hangs ends after so long, by a signal. */
enum { CHILD_SECONDS = 20, CHILDREN = 10, FDS_MAX = 256 };

/* What a child shares with its parent: the kernel's counters by which threads
 * that wait for sockets are woken. Here are their values by number of file. */
struct wakes {
    unsigned long long counts[FDS_MAX];
};

static int read_wakes(struct wakes *wakes)
{
    DIR *folder = opendir("/proc/self/fdinfo");
    CHECK(folder != NULL);
    memset(wakes, 0, sizeof *wakes);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char path[300], line[256];
        int number = atoi(entry->d_name);
        snprintf(path, sizeof path, "/proc/self/fdinfo/%s", entry->d_name);
        FILE *file = entry->d_name[0] == '.' || number >= FDS_MAX ? NULL : fopen(path, "r");
        if (file == NULL)
            continue;
        while (fgets(line, sizeof line, file) != NULL)
            sscanf(line, "eventfd-count: %llx", &wakes->counts[number]);
        fclose(file);
    }
    closedir(folder);
    return 0;
}

static stockade_code open_shared(const char *store, stockade_engine **engine)
{
    stockade_options *options = NULL;
    stockade_options_new(&options, NULL);
    stockade_options_set(options, "store", store, NULL);
    stockade_code code = stockade_engine_open_shared(options, engine, NULL);
    stockade_options_free(options);
    return code;
}

static int child(stockade_engine *own, const char *store)
{
    struct wakes before, after;
    stockade_engine *shared = NULL;
    int known = 0;
    alarm(CHILD_SECONDS);
    CHECK(read_wakes(&before) == 0);
    stockade_engine_free(own);
    CHECK(open_shared(store, &shared) == STOCKADE_CODE_OK);
    CHECK(stockade_engine_ping(shared, NULL) == STOCKADE_CODE_OK);
    CHECK(read_wakes(&after) == 0);
    for (int i = 0; i < FDS_MAX; i++) {
        known += before.counts[i] > 0;
        CHECK(before.counts[i] == 0 || after.counts[i] == before.counts[i]);
    }
    CHECK(known >= 2);
    return 0;
}

int main(int argc, char **argv)
{
    stockade_engine *own = NULL, *shared = NULL;
    CHECK(argc == 2);
    CHECK(stockade_engine_open(argv[1], &own, NULL) == STOCKADE_CODE_OK);
    /* The state of a PHP worker between two requests: open, without a handle. */
    CHECK(open_shared(argv[1], &shared) == STOCKADE_CODE_OK);
    stockade_engine_free(shared);
    for (int i = 0; i < CHILDREN; i++) {
        pid_t forked = fork();
        CHECK(forked >= 0);
        if (forked == 0)
            _exit(child(own, argv[1]));
        int status = 0;
        CHECK(waitpid(forked, &status, 0) == forked && status == 0);
    }
    CHECK(stockade_engine_ping(own, NULL) == STOCKADE_CODE_OK);
    stockade_engine_free(own);
    puts("ok");
    return 0;
}
