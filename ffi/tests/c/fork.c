/* A fork before opening works; a fork after opening gets a clear error in the
 * child and leaves the parent's engine alone. */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <stockade.h>

#define CHECK(what)                                                        \
    do {                                                                   \
        if (!(what)) {                                                     \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what);     \
            return 1;                                                      \
        }                                                                  \
    } while (0)

static int sell(stockade_engine *engine)
{
    stockade_new_product request = STOCKADE_INIT(stockade_new_product);
    request.name = "Lamp";
    request.stock = 2;
    stockade_product product = STOCKADE_INIT(stockade_product);
    CHECK(stockade_engine_create_product(engine, &request, &product, NULL) == STOCKADE_CODE_OK);
    stockade_hold_request wanted = STOCKADE_INIT(stockade_hold_request);
    wanted.product_id = product.id;
    wanted.quantity = 2;
    stockade_hold hold = STOCKADE_INIT(stockade_hold);
    CHECK(stockade_engine_hold(engine, &wanted, &hold, NULL, NULL) == STOCKADE_CODE_OK);
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

static int child_that_uses(stockade_engine *engine)
{
    stockade_error *error = NULL;
    stockade_product product = STOCKADE_INIT(stockade_product);
    CHECK(stockade_engine_product(engine, 1, &product, &error) == STOCKADE_CODE_MISUSE);
    CHECK(strstr(stockade_error_message(error), "fork") != NULL);
    stockade_error_free(error);
    CHECK(stockade_engine_close(engine, NULL) == STOCKADE_CODE_MISUSE);
    stockade_engine_free(engine);
    return child_that_opens();
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
    CHECK(sell(engine) == 0);
    pid_t after = fork();
    CHECK(after >= 0);
    if (after == 0)
        _exit(child_that_uses(engine));
    CHECK(wait_for(after) == 0);
    CHECK(sell(engine) == 0);
    stockade_engine_free(engine);
    puts("ok");
    return 0;
}
