//go:build cgo

package malgo

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>

typedef void (*error_handler)(const char *file, int line, const char *function, int err, const char *format, ...);

static void ignore(const char *file, int line, const char *function, int err, const char *format, ...) {}

// quiet_alsa loads libasound, if there is one, and keeps it loaded with a handler of errors that prints nothing.
static void quiet_alsa(void) {
	void *lib = dlopen("libasound.so.2", RTLD_NOW);
	if (lib == 0) return;
	int (*set_handler)(error_handler) = (int (*)(error_handler))dlsym(lib, "snd_lib_error_set_handler");
	if (set_handler != 0) set_handler(ignore);
}
*/
import "C"

func quiet() { C.quiet_alsa() }
