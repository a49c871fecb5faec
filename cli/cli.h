/* Room cli: the graft program. main.c picks the command, each command is one
 * file with one function, which returns the exit status. */
#pragma once
#include "cli/common/common.h"

/* ---- commands (main.c, commands.def) ---- */

#define COMMAND(name, what) int command_##name(int argc, char **argv);
#include "cli/commands.def"
#undef COMMAND
