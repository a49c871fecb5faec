/* Texts of the levels below the model: what `show --stage graph` and `--stage
 * kernels` print, perhaps changed by hand, shown at the stages below. */
#pragma once
#include "cli/common/common.h"

/* Does the file begin as such a text does? */
bool is_level_text(const char *path);
/* Prints it at the stage: graph or below. Mistakes of the text are reported
 * where they are; the exit status. */
int show_text(const char *path, const char *stage, const Common *common);
