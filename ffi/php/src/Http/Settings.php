<?php

declare(strict_types=1);

namespace Stockade\Http;

use SensitiveParameter;
use Stockade\Exception\InvalidArgument;

/**
 * The settings of a client of a running engine, which has all others itself.
 */
final class Settings
{
    private const UNITS = ['ms' => 0.001, 's' => 1.0, 'm' => 60.0, 'h' => 3600.0];
    /** Accepted as by the library, and without effect: one caller waits at a time, and a client never sweeps. */
    private const IGNORED = ['queue_limit', 'sweeper'];

    /**
     * @param float $timeout bounds a call in seconds, all attempts together; "20s" by default
     * @param float $reconnect how many seconds a call waits for an engine that cannot be reached; "5s" by default
     * @param string $ca a PEM file of the certificates trusted by TLS; '' for the system's
     */
    private function __construct(
        public readonly float $timeout,
        public readonly float $reconnect,
        public readonly string $ca,
    ) {
    }

    /**
     * Reads remote_timeout, remote_reconnect and remote_ca.
     *
     * @param array<string, string|int|bool> $settings by name
     * @throws InvalidArgument for a setting that belongs to the running engine
     */
    public static function of(#[SensitiveParameter] array $settings, Address $address): self
    {
        [$timeout, $reconnect, $ca] = [20.0, 5.0, ''];
        foreach ($settings as $name => $value) {
            match (true) {
                $name === 'remote_timeout' => $timeout = self::seconds($name, $value),
                $name === 'remote_reconnect' => $reconnect = self::seconds($name, $value),
                $name === 'remote_ca' => $ca = (string) $value,
                // An empty one is the default, as of `redis`.
                in_array($name, self::IGNORED, true), $value === '' => null,
                default => throw InvalidArgument::because(
                    "setting {$name}: the running engine has its own; set it there"
                ),
            };
        }
        if ($timeout <= 0.0) {
            throw InvalidArgument::because('settings: remote_timeout must be over 0');
        }
        if ($ca !== '' && !$address->hasTls) {
            throw InvalidArgument::because(
                'setting remote_ca: it is for TLS; begin the URL of the engine with https'
            );
        }
        if ($ca !== '' && !is_readable($ca)) {
            throw InvalidArgument::because("setting remote_ca: cannot read {$ca}");
        }
        return new self($timeout, $reconnect, $ca);
    }

    /** A duration such as 90, "90s", "500ms", "2m" or "1h 30m", in seconds. */
    private static function seconds(string $name, string|int|bool $value): float
    {
        if (is_int($value) || (is_string($value) && ctype_digit($value))) {
            return (float) $value;
        }
        $isDuration = is_string($value) && preg_match('/^(?:\s*\d+\s*(?:ms|s|m|h))+$/D', $value) === 1;
        if (!$isDuration) {
            throw InvalidArgument::because(
                "setting {$name}: expected a duration such as 90s, 2m or 1h, or whole seconds"
            );
        }
        preg_match_all('/(\d+)\s*(ms|s|m|h)/', $value, $parts, PREG_SET_ORDER);
        return (float) array_sum(array_map(
            static fn (array $part): float => (int) $part[1] * self::UNITS[$part[2]],
            $parts
        ));
    }
}
