<?php

declare(strict_types=1);

namespace Stockade\Native;

use FFI;
use SensitiveParameter;
use Stockade\Input\Arguments;

/**
 * Opens engines: builds the library's options from settings and frees them.
 */
final class Opener
{
    /**
     * Opens an engine of its own, or the process's shared one.
     *
     * @param array<string, string|int|bool> $settings by name
     */
    public static function open(
        #[SensitiveParameter] string $store,
        #[SensitiveParameter] array $settings,
        bool $shared,
    ): Handle {
        $call = new Call();
        [$ffi, $errorOut] = [$call->ffi, $call->errorOut];
        $options = $call->make('stockade_options *');
        $call->check($ffi->stockade_options_new(FFI::addr($options), $errorOut));
        try {
            foreach (['store' => $store] + $settings as $name => $value) {
                $name = (string) $name;
                $text = is_bool($value) ? ($value ? 'true' : 'false') : (string) $value;
                $call->check($ffi->stockade_options_set(
                    $options,
                    Arguments::text('a setting\'s name', $name),
                    Arguments::text($name, $text),
                    $errorOut
                ));
            }
            $handle = $call->make('stockade_engine *');
            $out = FFI::addr($handle);
            $call->check(
                $shared
                    ? $ffi->stockade_engine_open_shared($options, $out, $errorOut)
                    : $ffi->stockade_engine_open_with($options, $out, $errorOut)
            );
            return new Handle($handle);
        } finally {
            $ffi->stockade_options_free($options);
        }
    }
}
