/* Forks while other threads are inside SQLite. A child has a copy of SQLite's
 * process-wide mutexes, and those that another thread held stay locked there.
 * Opening an engine on SQLite in such a child must not deadlock: it works, or fails
 * with misuse in bounded time. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <stockade.h>
#include "check.h"

/* A child that hangs ends after so long, by a signal: the library's own bound
 * is 10 seconds, and many children share few processors. */
enum { CHILD_SECONDS = 45, CHILDREN = 48, THREADS = 4, REFUSED = 2 };

static const char *const OPEN_IN_PARENT = "sqlite:parent.db";
static atomic_bool ended;

static int sell(stockade_engine *engine)
{
    stockade_new_product request = STOCKADE_INIT(stockade_new_product);
    request.name = "Lamp";
    request.stock = 1;
    stockade_product product = STOCKADE_INIT(stockade_product);
    CHECK(stockade_engine_create_product(engine, &request, &product, NULL, NULL) == STOCKADE_CODE_OK);
    return 0;
}

/* Opens and closes connections repeatedly: that is where SQLite locks the
 * mutexes of the process. */
static void *work(void *broken)
{
    while (!atomic_load(&ended)) {
        stockade_engine *engine = NULL;
        if (stockade_engine_open("sqlite::memory:", &engine, NULL) != STOCKADE_CODE_OK)
            return broken;
        stockade_engine_free(engine);
    }
    return NULL;
}

static int misuse(const char *store)
{
    stockade_engine *engine = NULL;
    stockade_error *error = NULL;
    CHECK(stockade_engine_open(store, &engine, &error) == STOCKADE_CODE_MISUSE);
    CHECK(strstr(stockade_error_message(error), "fork") != NULL);
    stockade_error_free(error);
    return 0;
}

/* 0 if an engine opened and works, REFUSED if it was rejected in time. */
static int child(int number)
{
    char store[64];
    alarm(CHILD_SECONDS);
    /* A file that the parent has open is always rejected. */
    CHECK(misuse(OPEN_IN_PARENT) == 0);
    snprintf(store, sizeof store, number % 2 ? "sqlite::memory:" : "sqlite:child-%d.db", number);
    stockade_engine *engine = NULL;
    stockade_error *error = NULL;
    stockade_code code = stockade_engine_open(store, &engine, &error);
    if (code == STOCKADE_CODE_MISUSE && strstr(stockade_error_message(error), "fork") != NULL)
        return REFUSED;
    if (code != STOCKADE_CODE_OK)
        fprintf(stderr, "%s\n", stockade_error_message(error));
    CHECK(code == STOCKADE_CODE_OK);
    CHECK(sell(engine) == 0);
    stockade_engine_free(engine);
    /* Its own file can be opened repeatedly. */
    CHECK(stockade_engine_open(store, &engine, NULL) == STOCKADE_CODE_OK);
    stockade_engine_free(engine);
    return 0;
}

int main(void)
{
    pthread_t threads[THREADS];
    pid_t children[CHILDREN];
    stockade_engine *own = NULL;
    int opened = 0, refused = 0;
    CHECK(stockade_engine_open(OPEN_IN_PARENT, &own, NULL) == STOCKADE_CODE_OK);
    CHECK(sell(own) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, work, &ended) == 0);
    for (int i = 0; i < CHILDREN; i++) {
        children[i] = fork();
        CHECK(children[i] >= 0);
        if (children[i] == 0)
            _exit(child(i));
    }
    for (int i = 0; i < CHILDREN; i++) {
        int status = 0;
        CHECK(waitpid(children[i], &status, 0) == children[i]);
        CHECK(WIFEXITED(status));
        opened += WEXITSTATUS(status) == 0;
        refused += WEXITSTATUS(status) == REFUSED;
    }
    atomic_store(&ended, true);
    for (int i = 0; i < THREADS; i++) {
        void *broken = NULL;
        CHECK(pthread_join(threads[i], &broken) == 0 && broken == NULL);
    }
    fprintf(stderr, "%d opened, %d refused\n", opened, refused);
    CHECK(opened + refused == CHILDREN);
    CHECK(sell(own) == 0);
    stockade_engine_free(own);
    puts("ok");
    return 0;
}
