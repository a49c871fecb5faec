/* CUDA C through NVRTC, NVIDIA's compiler as a library, opened at run time;
 * what each kernel takes is read from the log that ptxas leaves. */
#include "codegen/cuda/cuda.h"
#include "codegen/jit/cache.h"
#include <dlfcn.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>

typedef void *Prog;
typedef struct {
    void *lib;
    char path[512]; /* where it was found */
    int (*version)(int *, int *);
    int (*narchs)(int *);
    int (*archs)(int *);
    int (*create)(Prog *, const char *, const char *, int,
                  const char *const *, const char *const *);
    int (*compile)(Prog, int, const char *const *);
    int (*log_size)(Prog, size_t *);
    int (*log)(Prog, char *);
    int (*cubin_size)(Prog, size_t *);
    int (*cubin)(Prog, char *);
    int (*ptx_size)(Prog, size_t *);
    int (*ptx)(Prog, char *);
    int (*destroy)(Prog *);
} Nvrtc;

static const struct {
    const char *name;
    size_t at;
} symbols[] = {
    {"nvrtcVersion", offsetof(Nvrtc, version)},
    {"nvrtcGetNumSupportedArchs", offsetof(Nvrtc, narchs)},
    {"nvrtcGetSupportedArchs", offsetof(Nvrtc, archs)},
    {"nvrtcCreateProgram", offsetof(Nvrtc, create)},
    {"nvrtcCompileProgram", offsetof(Nvrtc, compile)},
    {"nvrtcGetProgramLogSize", offsetof(Nvrtc, log_size)},
    {"nvrtcGetProgramLog", offsetof(Nvrtc, log)},
    {"nvrtcGetCUBINSize", offsetof(Nvrtc, cubin_size)},
    {"nvrtcGetCUBIN", offsetof(Nvrtc, cubin)},
    {"nvrtcGetPTXSize", offsetof(Nvrtc, ptx_size)},
    {"nvrtcGetPTX", offsetof(Nvrtc, ptx)},
    {"nvrtcDestroyProgram", offsetof(Nvrtc, destroy)},
};

static bool open_at(Nvrtc *n, const char *path)
{
    /* it keeps memory of its own until the process ends, so it stays loaded */
    n->lib = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!n->lib)
        return false;
    snprintf(n->path, sizeof n->path, "%s", path);
    for (size_t i = 0; i < COUNT(symbols); i++) {
        void *at = dlsym(n->lib, symbols[i].name);
        if (!at)
            return false;
        memcpy((char *)n + symbols[i].at, &at, sizeof at);
    }
    return true;
}

static bool open_glob(Nvrtc *n, const char *root, const char *pattern)
{
    glob_t found = {0};
    char path[512];
    bool good = false;
    if (!root || !*root)
        return false;
    snprintf(path, sizeof path, "%s/%s", root, pattern);
    if (!glob(path, 0, NULL, &found))
        for (size_t i = found.gl_pathc; i-- > 0 && !good;)
            good = open_at(n, found.gl_pathv[i]);
    globfree(&found);
    return good;
}

static bool find_nvrtc(Nvrtc *n)
{
    static const char *const names[] = {"libnvrtc.so.13", "libnvrtc.so.12",
                                        "libnvrtc.so"};
    static const char python[] =
        "lib/python3*/site-packages/nvidia/*/lib/libnvrtc.so.1[23]";
    const char *own = getenv("GRAFT_NVRTC"), *home = getenv("HOME");
    char folder[4096];
    if (own && *own)
        return open_at(n, own);
    for (size_t i = 0; i < COUNT(names); i++)
        if (open_at(n, names[i]))
            return true;
    if (cache_folder(folder, sizeof folder) &&
        open_glob(n, folder, "nvrtc/libnvrtc.so.1[23]"))
        return true;
    const char *root[] = {getenv("CUDA_HOME"), getenv("CUDA_PATH"),
                          "/usr/local/cuda"};
    for (size_t i = 0; i < COUNT(root); i++)
        if (open_glob(n, root[i], "lib*/libnvrtc.so.1[23]"))
            return true;
    return open_glob(n, "/usr/local", "cuda-*/lib64/libnvrtc.so.1[23]") ||
           open_glob(n, getenv("VIRTUAL_ENV"), python) ||
           (home && open_glob(n, intern_printf("%s/.local", home), python));
}

static const char places[] =
    "GRAFT_NVRTC, the loader's libnvrtc.so.13 and .12, graft's cache folder, "
    "CUDA_HOME, CUDA_PATH, /usr/local/cuda*, Python's packages";

/* The one of this process; NULL with err set: there is none. */
static const Nvrtc *nvrtc(Err *err)
{
    static Nvrtc n;
    static bool looked, found;
#pragma omp critical(nvrtc)
    if (!looked) {
        looked = true;
        found = find_nvrtc(&n);
    }
    if (!found)
        err_set(err, "NVRTC (libnvrtc.so) is not here: looked at %s; "
                     "scripts/get-nvrtc fetches it", places);
    return found ? &n : NULL;
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

static void take_code(const Nvrtc *n, Prog p, bool ptx, CudaCode *out)
{
    *out = (CudaCode){.ptx = ptx};
    (ptx ? n->ptx_size : n->cubin_size)(p, &out->len);
    out->at = xmalloc(out->len + 1);
    out->at[out->len] = 0;
    (ptx ? n->ptx : n->cubin)(p, out->at);
}

const char *const cuda_option[3] = {"-default-device", "--std=c++17",
                                    "--ptxas-options=-v"}; /* last: no PTX */

static bool compile_with(const Nvrtc *n, const char *text, const char *arch,
                         CudaReport *r, CudaCode *code, Err *err)
{
    const char *header[] = {text_cuda_dev, text_cuda_math};
    const char *name[] = {"graft_dev.h", "graft_math.h"};
    char target[32];
    snprintf(target, sizeof target, "-arch=%s", arch);
    bool ptx = !strncmp(arch, "compute", 7);
    const char *option[] = {target, cuda_option[0], cuda_option[1],
                            cuda_option[2]};
    Prog p = NULL;
    size_t size = 0;
    if (n->create(&p, text, "graft.cu", 2, header, name))
        return err_set(err, "NVRTC for %s: cannot begin", arch);
    int rc = n->compile(p, (int)COUNT(option) - ptx, option);
    n->log_size(p, &size);
    char *log = xmalloc(size + 1);
    memset(log, 0, size + 1);
    n->log(p, log);
    bool fine = !rc || refused(log, arch, err);
    if (fine && r)
        read_log(r, log);
    if (fine && code)
        take_code(n, p, ptx, code);
    free(log);
    n->destroy(&p);
    return fine;
}

bool cuda_compile(const char *text, const char *arch, CudaReport *report,
                  CudaCode *code, Err *err)
{
    int major = 0, minor = 0;
    const Nvrtc *n = nvrtc(err);
    if (report)
        *report = (CudaReport){.found = n != NULL};
    if (!n)
        return false;
    double start = seconds_now();
    n->version(&major, &minor);
    bool fine = compile_with(n, text, arch, report, code, err);
    if (report) {
        report->version = major * 1000 + minor * 10;
        report->seconds = seconds_now() - start;
    }
    return fine;
}

bool cuda_ptx(const CudaText *t, FILE *out, Err *err)
{
    CudaCode code = {0};
    bool fine = cuda_compile(t->text, "compute_80", NULL, &code, err);
    if (fine)
        fputs(code.at, out);
    free(code.at);
    return fine;
}

bool cuda_nvrtc(int *version, const char **path, Err *err)
{
    int major = 0, minor = 0;
    const Nvrtc *n = nvrtc(err);
    if (!n)
        return false;
    n->version(&major, &minor);
    *version = major * 1000 + minor * 10;
    *path = n->path;
    return true;
}

bool cuda_arch(int capability, char *out, size_t size, Err *err)
{
    const Nvrtc *n = nvrtc(err);
    int count = 0, known[128], best = 0;
    if (!n)
        return false;
    if (n->narchs(&count) || count > (int)COUNT(known) || n->archs(known))
        return err_set(err, "NVRTC: says not what it compiles for");
    for (int i = 0; i < count; i++)
        if (known[i] <= capability && known[i] > best)
            best = known[i];
    if (best < 80)
        return err_set(err, "NVRTC at %s knows nothing that a GPU of compute "
                            "capability %d.%d runs", n->path, capability / 10,
                       capability % 10);
    if (best == capability)
        snprintf(out, size, "sm_%d%s", best, best >= 90 ? "a" : "");
    else
        snprintf(out, size, "compute_%d", best);
    return true;
}
