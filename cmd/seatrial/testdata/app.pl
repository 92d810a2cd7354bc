#!/usr/bin/perl
# The service that the lab's hosts run: answers HTTP, or fails in the way it is told to.
use strict; use warnings; use IO::Socket::INET; use Getopt::Long;
$| = 1;
my ($listen, $crash, $notify, $version, $broken) = ('', 0, 0, 'none', '');
GetOptions('listen=s' => \$listen, 'crash-after=i' => \$crash, 'notify' => \$notify, 'version=s' => \$version, 'broken-if=s' => \$broken) or exit 2;
print "app $version starts\n";
if ($crash) { $SIG{ALRM} = sub { print "app $version: fatal: giving up\n"; exit 1 }; alarm $crash }
if ($notify) { require Socket; my $p = $ENV{NOTIFY_SOCKET} // ''; $p =~ s/^@/\0/;
    socket(my $s, Socket::AF_UNIX(), Socket::SOCK_DGRAM(), 0); send($s, 'READY=1', 0, Socket::sockaddr_un($p)) if $p }
sleep 3600 while !$listen || ($broken && -e $broken);
my $server = IO::Socket::INET->new(LocalAddr => $listen, Listen => 16, ReuseAddr => 1) or die "listen on $listen: $!\n";
while (1) {
    my $c = $server->accept or next;
    while (my $l = <$c>) { last if $l =~ /^\r?\n$/ }
    print $c "HTTP/1.0 200 OK\r\nConnection: close\r\n\r\n{\"ok\": true, \"version\": \"$version\"}\n";
    close $c;
}
