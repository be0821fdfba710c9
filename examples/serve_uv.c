/* serve_uv.c - a full mail server on a loop of libuv: serve_uv DIRECTORY [BASE].  Users, store and doors are house.h's;
 * it listens on loopback, on the usual ports moved by BASE, or on free ones, and says which. */
#include "house.h"

#include <mailsrv/uv.h>

#include <signal.h>
#include <stdio.h>
#include <uv.h>

static void open_door(mailsrv_uv *driver, const struct door *door)
{
    mailsrv_uv_listener *listener;
    const mailsrv_uv_listener_setup setup = { .size = sizeof setup,
                                              .address = "127.0.0.1",
                                              .port = door->port,
                                              .profile = door->profile };
    house_must(mailsrv_uv_listen(driver, &setup, &listener), door->name);
    printf("%s 127.0.0.1:%d\n", door->name, mailsrv_uv_listener_port(listener));
}

/* Whoever is here is told, and has a second to finish. */
static void end(uv_signal_t *signal, int number)
{
    (void)number;
    mailsrv_uv_close(signal->data, 1000, NULL, NULL);
    uv_close((uv_handle_t *)signal, NULL); /* nothing else keeps the loop running */
}

int main(int argc, char **argv)
{
    struct house house;
    mailsrv_engine *engine;
    mailsrv_uv *driver;
    uv_signal_t term;
    uv_loop_t *loop = uv_default_loop();

    signal(SIGPIPE, SIG_IGN);
    if (argc != 2 && argc != 3)
        return 2;
    house_open(&house, argv[1], argv[2]);
    house_must(mailsrv_engine_new(NULL, &engine), "the engine");
    house_must(mailsrv_uv_new(loop, engine, NULL, &driver), "the driver");
    house_serve(&house, engine, mailsrv_uv_wake, driver);
    for (int i = 0; i < house.n_doors; i++)
        open_door(driver, &house.doors[i]);
    fflush(stdout);
    uv_signal_init(loop, &term);
    term.data = driver;
    uv_signal_start(&term, end, SIGTERM);
    uv_run(loop, UV_RUN_DEFAULT);
    house_close(&house);
    mailsrv_uv_free(driver);
    return uv_loop_close(loop);
}
