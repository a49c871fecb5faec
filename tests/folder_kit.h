/* For tests that build programs: a folder for one test, commands run in it.
 */
#pragma once
#include "base/base.h"
#include <dirent.h>
#include <string.h>
#include <unistd.h>

static char folder[64];

static int setup(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/graft-test-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] != '.')
            unlink(intern_printf("%s/%s", folder, e->d_name));
    if (d)
        closedir(d);
    return rmdir(folder);
}

static bool run(const char *command)
{
    return system(intern_printf("cd %s && %s", folder, command)) == 0;
}
