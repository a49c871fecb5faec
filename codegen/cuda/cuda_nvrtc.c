/* CUDA C through NVRTC, NVIDIA's compiler as a library, opened at run time;
 * what each kernel takes is read from the log that ptxas leaves. */
#include "codegen/cuda/cuda.h"
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

typedef void *Prog;
typedef struct {
    void *lib;
    int (*version)(int *, int *);
    int (*create)(Prog *, const char *, const char *, int,
                  const char *const *, const char *const *);
    int (*compile)(Prog, int, const char *const *);
    int (*log_size)(Prog, size_t *);
    int (*log)(Prog, char *);
    int (*destroy)(Prog *);
} Nvrtc;

static bool symbol(void *lib, const char *name, void *to)
{
    void *at = dlsym(lib, name);
    memcpy(to, &at, sizeof at);
    return at;
}

static bool nvrtc_open(Nvrtc *n)
{
    static const char *const names[] = {
        "libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so",
        "/usr/local/cuda/lib64/libnvrtc.so"};
    memset(n, 0, sizeof *n);
    /* it keeps memory of its own until the process ends, so it stays loaded */
    for (size_t i = 0; i < COUNT(names) && !n->lib; i++)
        n->lib = dlopen(names[i], RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    return n->lib && symbol(n->lib, "nvrtcVersion", &n->version) &&
           symbol(n->lib, "nvrtcCreateProgram", &n->create) &&
           symbol(n->lib, "nvrtcCompileProgram", &n->compile) &&
           symbol(n->lib, "nvrtcGetProgramLogSize", &n->log_size) &&
           symbol(n->lib, "nvrtcGetProgramLog", &n->log) &&
           symbol(n->lib, "nvrtcDestroyProgram", &n->destroy);
}

/* ---- the log ---- */

static void read_line(CudaReport *r, const char *line)
{
    const char *at = strstr(line, "Compiling entry function '");
    CudaUsage *k = r->n ? &r->kernel[r->n - 1] : NULL;
    int a, b;
    if (at && r->n < (int)COUNT(r->kernel)) {
        k = &r->kernel[r->n++];
        memset(k, 0, sizeof *k);
        sscanf(at + 26, "%95[^']", k->name);
        return;
    }
    if (!k)
        return;
    at = strstr(line, "bytes stack frame,");
    if (at && sscanf(line, " %d bytes stack frame, %d bytes spill stores, "
                           "%d bytes spill loads", &k->stack, &a, &b) == 3)
        k->spill = a + b;
    at = strstr(line, "Used ");
    if (at && sscanf(at, "Used %d registers", &a) == 1)
        k->registers = a;
}

static void read_log(CudaReport *r, char *log)
{
    char *rest = NULL;
    for (char *l = strtok_r(log, "\n", &rest); l;
         l = strtok_r(NULL, "\n", &rest))
        read_line(r, l);
}

/* The first line of the log that is an error. */
static bool refused(char *log, const char *arch, Err *err)
{
    char *at = strstr(log, "error");
    while (at && at > log && at[-1] != '\n')
        at--;
    at = at ? at : log;
    at[strcspn(at, "\n")] = 0;
    return err_set(err, "NVRTC for %s: %s", arch, at);
}

static bool compile_with(const Nvrtc *n, const char *text, const char *arch,
                         CudaReport *r, Err *err)
{
    const char *header[] = {text_cuda_dev, text_cuda_math};
    const char *name[] = {"graft_dev.h", "graft_math.h"};
    char target[32];
    snprintf(target, sizeof target, "-arch=%s", arch);
    const char *option[] = {target, "-default-device", "--std=c++17",
                            "--ptxas-options=-v"};
    Prog p = NULL;
    size_t size = 0;
    if (n->create(&p, text, "graft.cu", 2, header, name))
        return err_set(err, "NVRTC for %s: cannot begin", arch);
    int rc = n->compile(p, COUNT(option), option);
    n->log_size(p, &size);
    char *log = xmalloc(size + 1);
    memset(log, 0, size + 1);
    n->log(p, log);
    bool fine = !rc || refused(log, arch, err);
    if (fine)
        read_log(r, log);
    free(log);
    n->destroy(&p);
    return fine;
}

bool cuda_compile(const char *text, const char *arch, CudaReport *report,
                  Err *err)
{
    Nvrtc n;
    int major = 0, minor = 0;
    memset(report, 0, sizeof *report);
    report->found = nvrtc_open(&n);
    bool fine = report->found;
    if (fine) {
        double start = seconds_now();
        n.version(&major, &minor);
        report->version = major * 1000 + minor * 10;
        fine = compile_with(&n, text, arch, report, err);
        report->seconds = seconds_now() - start;
    } else {
        err_set(err, "NVRTC (libnvrtc.so) is not here");
    }
    if (n.lib)
        dlclose(n.lib);
    return fine;
}
