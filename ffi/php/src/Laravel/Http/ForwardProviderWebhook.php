<?php

declare(strict_types=1);

namespace Stockade\Laravel\Http;

use Illuminate\Contracts\Config\Repository;
use Illuminate\Http\Client\ConnectionException;
use Illuminate\Http\Client\Factory;
use Illuminate\Http\Request;
use Illuminate\Http\Response;
use Stockade\Exception\StockadeException;
use Stockade\Exception\Unavailable;

/**
 * Passes a payment provider's webhook to the running server, which verifies the provider's
 * signature and applies it. The body goes as it came, and the answer comes back: the
 * provider sends again what was not accepted.
 */
final class ForwardProviderWebhook
{
    private const TIMEOUT_SECONDS = 20;
    /** Headers of this hop, of the buyer's session, and those by which the server would trust a proxy. */
    private const NOT_PASSED = [
        'accept-encoding', 'connection', 'content-length', 'content-type', 'cookie', 'expect', 'forwarded', 'host',
        'keep-alive', 'te', 'transfer-encoding', 'upgrade', 'x-real-ip',
    ];

    public function __construct(private readonly Factory $http, private readonly Repository $config)
    {
    }

    /** @throws Unavailable if the server cannot be reached */
    public function __invoke(Request $request, string $provider): Response
    {
        $server = (string) $this->config->get('stockade.webhook.forward_to');
        $call = $this->http->timeout(self::TIMEOUT_SECONDS)
            ->withHeaders(self::passed($request))
            ->withBody($request->getContent(), $request->headers->get('Content-Type', 'application/json'))
            ->withoutRedirecting();
        if (str_starts_with($server, 'unix://')) {
            $call->withOptions(['curl' => [CURLOPT_UNIX_SOCKET_PATH => substr($server, 7)]]);
            $server = 'http://localhost';
        }
        $query = $request->server->get('QUERY_STRING');
        $url = rtrim($server, '/') . '/api/payments/webhook/' . rawurlencode($provider)
            . ($query === null || $query === '' ? '' : "?{$query}");
        try {
            $answer = $call->post($url);
        } catch (ConnectionException $error) {
            $message = "the server of stockade.webhook.forward_to cannot be reached: {$error->getMessage()}";
            throw StockadeException::named('unavailable', $message);
        }
        $headers = array_filter([
            'Content-Type' => $answer->header('Content-Type'),
            'Retry-After' => $answer->header('Retry-After'),
        ]);
        return new Response($answer->body(), $answer->status(), $headers);
    }

    /** @return array<string, list<?string>> */
    private static function passed(Request $request): array
    {
        $isPassed = static fn (string $name): bool
            => !in_array($name, self::NOT_PASSED, true) && !str_starts_with($name, 'x-forwarded');
        return array_filter($request->headers->all(), $isPassed, ARRAY_FILTER_USE_KEY);
    }
}
