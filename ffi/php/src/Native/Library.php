<?php

declare(strict_types=1);

namespace Stockade\Native;

use FFI;
use Stockade\Exception\Misuse;

/**
 * Finds and loads the shared library, once per request.
 *
 * In order: the file given to {@see Library::use()}, the one of the
 * environment variable STOCKADE_LIBRARY, lib/libstockade.so beside
 * this package, the system's.
 */
final class Library
{
    /** The ABI version that this package supports. */
    public const ABI_VERSION = 1;

    private const SCOPE = 'STOCKADE';
    private const SYSTEM = 'libstockade.so.' . self::ABI_VERSION;

    private static ?string $path = null;
    private static ?FFI $ffi = null;

    /** Sets the library's path; call before the first engine is opened. */
    public static function use(string $path): void
    {
        if (self::$ffi !== null && $path !== self::path()) {
            throw Misuse::because('the library is loaded already');
        }
        self::$path = $path;
    }

    /** Returns the path of the library that will be loaded. */
    public static function path(): string
    {
        if (self::$path !== null) {
            return self::$path;
        }
        $named = getenv('STOCKADE_LIBRARY');
        if (is_string($named) && $named !== '') {
            return $named;
        }
        $beside = dirname(__DIR__, 2) . '/lib/libstockade.so';
        return is_file($beside) ? $beside : self::SYSTEM;
    }

    public static function ffi(): FFI
    {
        return self::$ffi ??= self::load();
    }

    /** The version of Stockade. */
    public static function version(): string
    {
        return self::ffi()->stockade_version();
    }

    /** The header for ffi.preload, with the library's path. */
    public static function preloadHeader(): string
    {
        $path = self::path();
        return '#define FFI_SCOPE "' . self::SCOPE . "\"\n#define FFI_LIB \"{$path}\"\n" . self::header();
    }

    private static function load(): FFI
    {
        $ffi = self::preloaded() ?? self::defined();
        $version = $ffi->stockade_abi_version();
        if ($version !== self::ABI_VERSION) {
            $expected = self::ABI_VERSION;
            throw Misuse::because("the library has ABI version {$version}, expected {$expected}");
        }
        return $ffi;
    }

    private static function preloaded(): ?FFI
    {
        try {
            return FFI::scope(self::SCOPE);
        } catch (FFI\Exception) {
            return null;
        }
    }

    private static function defined(): FFI
    {
        $path = self::path();
        try {
            return FFI::cdef(self::header(), $path);
        } catch (FFI\Exception $error) {
            $enabled = ini_get('ffi.enable');
            throw Misuse::because(
                "the library {$path} cannot be loaded: {$error->getMessage()} (ffi.enable is "
                . "\"{$enabled}\"; in FPM it must be 1, or Stockade must be preloaded)"
            );
        }
    }

    private static function header(): string
    {
        return (string) file_get_contents(dirname(__DIR__, 2) . '/lib/stockade.h');
    }
}
