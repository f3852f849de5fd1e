/* A fork before opening works; a fork after opening gets a clear error in the
 * child and does not affect the parent's engine. */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <stockade.h>
#include "check.h"

static int sell(stockade_engine *engine)
{
    stockade_new_product request = STOCKADE_INIT(stockade_new_product);
    request.name = "Lamp";
    request.stock = 2;
    stockade_product product = STOCKADE_INIT(stockade_product);
    CHECK(stockade_engine_create_product(engine, &request, &product, NULL, NULL) == STOCKADE_CODE_OK);
    stockade_hold_request wanted = STOCKADE_INIT(stockade_hold_request);
    wanted.product_id = product.id;
    wanted.quantity = 2;
    stockade_hold hold = STOCKADE_INIT(stockade_hold);
    CHECK(stockade_engine_create_hold(engine, &wanted, &hold, NULL, NULL) == STOCKADE_CODE_OK);
    return 0;
}

static int child_that_opens(void)
{
    stockade_engine *engine = NULL;
    CHECK(stockade_engine_open("sqlite::memory:", &engine, NULL) == STOCKADE_CODE_OK);
    CHECK(sell(engine) == 0);
    stockade_engine_free(engine);
    return 0;
}

/* Calls without store access are rejected as well. */
static int refuses(stockade_engine *engine)
{
    stockade_error *error = NULL;
    char *text = NULL;
    CHECK(stockade_engine_metrics_text(engine, &text, &error) == STOCKADE_CODE_MISUSE);
    CHECK(text == NULL && strstr(stockade_error_message(error), "fork") != NULL);
    stockade_error_free(error);
    CHECK(stockade_engine_close(engine, NULL) == STOCKADE_CODE_MISUSE);
    return 0;
}

static int child_that_uses(stockade_engine *engine, stockade_engine *clerk)
{
    stockade_error *error = NULL;
    stockade_engine *acting = engine;
    CHECK(stockade_engine_acting_as(engine, "till", &acting, NULL) == STOCKADE_CODE_MISUSE);
    CHECK(acting == NULL);
    CHECK(refuses(clerk) == 0);
    stockade_engine_free(clerk);
    stockade_product product = STOCKADE_INIT(stockade_product);
    CHECK(stockade_engine_product(engine, 1, &product, &error) == STOCKADE_CODE_MISUSE);
    CHECK(strstr(stockade_error_message(error), "fork") != NULL);
    stockade_error_free(error);
    CHECK(refuses(engine) == 0);
    stockade_engine_free(engine);
    return child_that_opens();
}

static stockade_engine *open_shared(const char *limit)
{
    stockade_engine *engine = NULL;
    stockade_options *options = NULL;
    stockade_options_new(&options, NULL);
    stockade_options_set(options, "store", "sqlite::memory:", NULL);
    stockade_options_set(options, "max_per_hold", limit, NULL);
    stockade_engine_open_shared(options, &engine, NULL);
    stockade_options_free(options);
    return engine;
}

/* Counts the products; each in-memory store has its own. */
static size_t products(stockade_engine *engine)
{
    stockade_products *page = NULL;
    stockade_engine_products(engine, 0, 1000, &page, NULL);
    size_t count = stockade_products_count(page);
    stockade_products_free(page);
    return count;
}

/* One engine for all handles of a process with the same settings, another one
 * in the child of a fork. */
static int shares(void)
{
    stockade_engine *one = open_shared("5");
    CHECK(one != NULL && sell(one) == 0);
    CHECK(stockade_engine_close(one, NULL) == STOCKADE_CODE_OK);
    stockade_engine_free(one);
    stockade_engine *again = open_shared("5");
    CHECK(again != NULL && products(again) == 1);
    stockade_engine *other = open_shared("6");
    CHECK(other != NULL && products(other) == 0);
    stockade_engine_free(other);
    /* A fork while a thread of the engine is inside SQLite leaves the child
     * without SQLite, which the engine reports. It is rare: fork again. */
    int status = 0;
    for (int attempt = 0; attempt < 5; attempt++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            if (refuses(again) != 0)
                _exit(1);
            stockade_engine_free(again);
            stockade_engine *own = open_shared("5");
            if (own == NULL)
                _exit(2);
            _exit(products(own) == 0 && sell(own) == 0 ? 0 : 1);
        }
        CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
        if (WEXITSTATUS(status) != 2)
            break;
    }
    CHECK(WEXITSTATUS(status) == 0);
    CHECK(sell(again) == 0 && products(again) == 2);
    stockade_engine_free(again);

    /* The number is bounded: two are open already. */
    for (int i = 2; i < 16; i++) {
        char limit[8];
        snprintf(limit, sizeof limit, "%d", 100 + i);
        stockade_engine *more = open_shared(limit);
        CHECK(more != NULL);
        stockade_engine_free(more);
    }
    CHECK(open_shared("99") == NULL);
    again = open_shared("5");
    CHECK(again != NULL && products(again) == 2);
    stockade_engine_free(again);
    return 0;
}

static int wait_for(pid_t child)
{
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return 0;
}

int main(void)
{
    CHECK(stockade_abi_version() == STOCKADE_ABI_VERSION);
    pid_t before = fork();
    CHECK(before >= 0);
    if (before == 0)
        _exit(child_that_opens());
    CHECK(wait_for(before) == 0);

    stockade_engine *engine = NULL;
    CHECK(stockade_engine_open("sqlite::memory:", &engine, NULL) == STOCKADE_CODE_OK);
    stockade_engine *clerk = NULL;
    CHECK(stockade_engine_acting_as(engine, "clerk", &clerk, NULL) == STOCKADE_CODE_OK);
    CHECK(sell(engine) == 0);
    pid_t after = fork();
    CHECK(after >= 0);
    if (after == 0)
        _exit(child_that_uses(engine, clerk));
    CHECK(wait_for(after) == 0);
    CHECK(sell(clerk) == 0);
    stockade_engine_free(clerk);
    CHECK(sell(engine) == 0);
    stockade_engine_free(engine);
    CHECK(shares() == 0);
    puts("ok");
    return 0;
}
