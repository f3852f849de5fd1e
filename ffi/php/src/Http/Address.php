<?php

declare(strict_types=1);

namespace Stockade\Http;

use Closure;
use SensitiveParameter;
use Stockade\Exception\InvalidArgument;

/**
 * The parsed URL of a running engine: unix:///SOCKET, http://:KEY@HOST:PORT or
 * https://:KEY@HOST:PORT.
 */
final class Address
{
    private const PATH = '/engine/v1';
    private const HOST = '/^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]+)(?::(\d{1,5}))?$/D';

    /**
     * @param string $url where calls are posted, without the key
     * @param ?string $socket the path of the socket file, if it is one
     * @param ?Closure(): string $authorization returns the Authorization header: a closure, of which no dump
     *     shows the secret
     */
    private function __construct(
        public readonly string $url,
        public readonly ?string $socket,
        public readonly bool $hasTls,
        public readonly ?Closure $authorization,
    ) {
    }

    /** Whether a URL names a running engine. */
    public static function isRemote(#[SensitiveParameter] string $url): bool
    {
        return preg_match('/^(?:unix|https?):/', $url) === 1;
    }

    /**
     * Parses a URL. No error repeats it, since it may carry a key.
     *
     * @throws InvalidArgument
     */
    public static function parse(#[SensitiveParameter] string $url): self
    {
        if (str_starts_with($url, 'unix://')) {
            $path = substr($url, strlen('unix://'));
            if (!str_starts_with($path, '/') || str_ends_with($path, '/') || str_contains($path, "\0")) {
                throw self::invalid('a socket is named by its whole path: unix:///SOCKET');
            }
            return new self('http://localhost' . self::PATH, $path, false, null);
        }
        if (preg_match('#^(https?)://(.*?)/?$#Ds', $url, $found) !== 1) {
            throw self::invalid('it is unix:///SOCKET, http://:KEY@HOST:PORT or https://:KEY@HOST:PORT');
        }
        [, $scheme, $rest] = $found;
        $at = strrpos($rest, '@');
        $host = $at === false ? $rest : substr($rest, $at + 1);
        if (preg_match(self::HOST, $host, $port) !== 1 || (int) ($port[1] ?? 0) > 65_535) {
            throw self::invalid("HOST:PORT follows {$scheme}://, and no path after it");
        }
        $authorization = $at === false ? null : self::bearer(substr($rest, 0, $at));
        return new self("{$scheme}://{$host}" . self::PATH, null, $scheme === 'https', $authorization);
    }

    /** The URL as it may be shown: without the key. */
    public function shown(): string
    {
        return $this->socket === null ? substr($this->url, 0, -strlen(self::PATH)) : "unix://{$this->socket}";
    }

    /** @return Closure(): string */
    private static function bearer(#[SensitiveParameter] string $secret): Closure
    {
        if (!str_starts_with($secret, ':')) {
            throw self::invalid('an API key stands after a colon: http://:KEY@HOST:PORT');
        }
        $key = rawurldecode(substr($secret, 1));
        if (preg_match('/[\x00-\x1f\x7f]/', $key) === 1) {
            throw self::invalid('the API key cannot be sent');
        }
        return static fn (): string => "Authorization: Bearer {$key}";
    }

    private static function invalid(string $why): InvalidArgument
    {
        return InvalidArgument::because("the URL of a running engine: {$why}");
    }
}
