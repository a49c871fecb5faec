/* libNAME.a or libNAME.so of what was built, by the system's C compiler: $CC or
 * cc, and $AR or ar. */
#include "codegen/build/build_tables.h"
#include <errno.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static const char *tool(const char *variable, const char *usual)
{
    const char *said = getenv(variable);
    return said && *said ? said : usual;
}

static bool run(const char *const *argv, Err *err)
{
    pid_t pid;
    int status, failed = posix_spawnp(&pid, argv[0], NULL, NULL,
                                      (char *const *)argv, environ);
    if (failed)
        return err_set(err, "%s: %s (a library needs it; without --lib no "
                            "compiler is needed)",
                       argv[0], strerror(failed));
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return err_set(err, "%s: %s", argv[0], strerror(errno));
    return !status || err_set(err, "%s failed", argv[0]);
}

static const char *file(const Build *b, const char *before, const char *after)
{
    return intern_printf("%s/%s%s%s", b->o->dir, before, b->o->name, after);
}

static bool shared(const Build *b, Err *err)
{
    const char *soname = intern_printf("-Wl,-soname,lib%s.so", b->o->name);
    return run((const char *const[]){
                   tool("CC", "cc"), "-O2", "-fPIC", "-fopenmp", "-shared",
                   soname, file(b, "", ".c"), file(b, "", ".o"), "-lm", "-o",
                   file(b, "lib", ".so"), NULL}, err);
}

static bool archive(const Build *b, Err *err)
{
    const char *driver = file(b, "", "_run.o");
    bool good = run((const char *const[]){tool("CC", "cc"), "-O2", "-fPIC",
                                          "-fopenmp", "-c", file(b, "", ".c"),
                                          "-o", driver, NULL}, err) &&
                run((const char *const[]){tool("AR", "ar"), "rcs",
                                          file(b, "lib", ".a"), driver,
                                          file(b, "", ".o"), NULL}, err);
    unlink(driver);
    return good;
}

bool build_library(const Build *b, Err *err)
{
    switch (b->o->library) {
    case LIBRARY_static: return archive(b, err);
    case LIBRARY_shared: return shared(b, err);
    case LIBRARY_none: break;
    }
    return true;
}
