/* graft COMMAND ...: finds the command in the table and runs it. */
#include "cli/cli.h"
#include <signal.h>
#include <string.h>

typedef struct {
    const char *name, *what;
    int (*run)(int argc, char **argv);
} Command;

static const Command commands[] = {
#define COMMAND(name, what) {#name, what, command_##name},
#include "cli/commands.def"
#undef COMMAND
};

static void usage(FILE *out)
{
    fputs("Usage: graft COMMAND [OPTION...]\n"
          "Describe, check, transform and run language models.\n\n",
          out);
    for (size_t i = 0; i < COUNT(commands); i++)
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].what);
    fputs("\n`graft COMMAND --help` tells more about one.\n"
          "Exit status: 0 done, 1 the input is wrong, 2 wrong usage, "
          "3 a bug of graft.\n",
          out);
}

static const Command *find(const char *name)
{
    for (size_t i = 0; i < COUNT(commands); i++)
        if (!strcmp(commands[i].name, name))
            return &commands[i];
    return NULL;
}

static int unknown(const char *name)
{
    const char *names[COUNT(commands)];
    for (size_t i = 0; i < COUNT(commands); i++)
        names[i] = commands[i].name;
    const char *near = nearest(name, names, COUNT(names));
    fprintf(stderr, "graft: no command `%s`", name);
    if (near)
        fprintf(stderr, " (did you mean `%s`?)", near);
    fputs("; `graft --help` lists them\n", stderr);
    return EXIT_wrong_usage;
}

/* argp names the program by argv[0]: "graft check". */
static int run(const Command *command, int argc, char **argv)
{
    char name[64];
    snprintf(name, sizeof name, "graft %s", command->name);
    argv[0] = name;
    return report_end(command->run(argc, argv));
}

int main(int argc, char **argv)
{
    argp_err_exit_status = EXIT_wrong_usage;
    terminal_guard();
    signal(SIGXFSZ, SIG_IGN); /* a full quota is an error of write() instead */
    argp_program_version = "graft " CLI_VERSION;
    const char *first = argc > 1 ? argv[1] : NULL;
    if (!first) {
        usage(stderr);
        return EXIT_wrong_usage;
    }
    if (!strcmp(first, "--help") || !strcmp(first, "-h") ||
        (!strcmp(first, "help") && argc == 2)) {
        usage(stdout);
        return report_end(EXIT_done);
    }
    if (!strcmp(first, "--version") || !strcmp(first, "-V")) {
        puts(argp_program_version);
        return report_end(EXIT_done);
    }
    if (!strcmp(first, "help")) { /* graft help check */
        static char help[] = "--help";
        argv[1] = argv[2], argv[2] = help, argc = 3;
        first = argv[1];
    }
    const Command *command = find(first);
    return command ? run(command, argc - 1, argv + 1) : unknown(first);
}
