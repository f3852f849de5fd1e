/* Opening shared engines: single-flight per store, stores do not block each other,
 * and none blocks the child of a fork. */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <stockade.h>
#include "check.h"

/* A child that hangs ends after so long, by a signal. */
enum { CHILD_SECONDS = 20, THREADS = 4 };

static stockade_code open_shared(const char *store, const char *limit, stockade_engine **engine)
{
    stockade_options *options = NULL;
    stockade_options_new(&options, NULL);
    stockade_options_set(options, "store", store, NULL);
    stockade_options_set(options, "max_per_hold", limit, NULL);
    stockade_options_set(options, "store_timeout", "40s", NULL);
    stockade_code code = stockade_engine_open_shared(options, engine, NULL);
    stockade_options_free(options);
    return code;
}

static stockade_code create_product(stockade_engine *engine)
{
    stockade_new_product request = STOCKADE_INIT(stockade_new_product);
    request.name = "Lamp";
    stockade_product product = STOCKADE_INIT(stockade_product);
    return stockade_engine_create_product(engine, &request, &product, NULL, NULL);
}

struct opener {
    const char *store;
    stockade_code code;
    atomic_bool is_done;
};

static void *run_opener(void *arg)
{
    struct opener *opener = arg;
    stockade_engine *engine = NULL;
    opener->code = open_shared(opener->store, "5", &engine);
    if (opener->code == STOCKADE_CODE_OK)
        opener->code = create_product(engine);
    stockade_engine_free(engine);
    atomic_store(&opener->is_done, true);
    return NULL;
}

static int one_for_all_who_ask_at_once(void)
{
    pthread_t threads[THREADS];
    struct opener openers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        openers[i] = (struct opener){.store = "sqlite::memory:"};
        CHECK(pthread_create(&threads[i], NULL, run_opener, &openers[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
        CHECK(openers[i].code == STOCKADE_CODE_OK);
    }
    /* Each in-memory store has its own products. */
    stockade_engine *engine = NULL;
    stockade_products *page = NULL;
    CHECK(open_shared("sqlite::memory:", "5", &engine) == STOCKADE_CODE_OK);
    CHECK(stockade_engine_products(engine, 0, 1000, &page, NULL) == STOCKADE_CODE_OK);
    CHECK(stockade_products_count(page) == THREADS);
    stockade_products_free(page);
    stockade_engine_free(engine);
    return 0;
}

/* A failed opening is retried by the next caller and occupies no
 * slot of the sixteen. */
static int a_failure_is_not_kept(void)
{
    stockade_engine *engine = NULL;
    for (int i = 1; i <= 20; i++) {
        char limit[8];
        snprintf(limit, sizeof limit, "%d", i);
        CHECK(open_shared("sqlite:later/shop.db", limit, &engine) == STOCKADE_CODE_UNAVAILABLE);
        CHECK(engine == NULL);
    }
    CHECK(mkdir("later", 0700) == 0);
    CHECK(open_shared("sqlite:later/shop.db", "1", &engine) == STOCKADE_CODE_OK);
    CHECK(create_product(engine) == STOCKADE_CODE_OK);
    stockade_engine_free(engine);
    return 0;
}

static int child_that_opens(void)
{
    stockade_engine *engine = NULL;
    alarm(CHILD_SECONDS);
    CHECK(open_shared("sqlite::memory:", "6", &engine) == STOCKADE_CODE_OK);
    CHECK(create_product(engine) == STOCKADE_CODE_OK);
    stockade_engine_free(engine);
    return 0;
}

/* A store that accepts connections and never responds. */
static int silent_store(char *url, size_t length)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) != 0 ||
        listen(listener, 8) != 0 || getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        return -1;
    snprintf(url, length, "mysql://root@127.0.0.1:%d/shop", ntohs(address.sin_port));
    return listener;
}

static int none_holds_up_another_or_a_child(void)
{
    char url[64];
    int listener = silent_store(url, sizeof url);
    CHECK(listener >= 0);
    struct opener opener = {.store = url};
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, run_opener, &opener) == 0);
    /* Once it has connected, opening is in progress. */
    int connection = accept(listener, NULL, NULL);
    CHECK(connection >= 0);

    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0)
        _exit(child_that_opens());
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && status == 0);

    stockade_engine *other = NULL;
    CHECK(open_shared("sqlite::memory:", "7", &other) == STOCKADE_CODE_OK);
    CHECK(!atomic_load(&opener.is_done));
    stockade_engine_free(other);

    close(listener);
    close(connection);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(opener.code == STOCKADE_CODE_UNAVAILABLE);
    return 0;
}

int main(void)
{
    CHECK(one_for_all_who_ask_at_once() == 0);
    CHECK(a_failure_is_not_kept() == 0);
    CHECK(none_holds_up_another_or_a_child() == 0);
    puts("ok");
    return 0;
}
